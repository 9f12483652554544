#include "agent/names/host_table.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/text.h"

// TTLs are believed within these bounds: a server that says 0 is not asked for every connection,
// and one that says a week is not believed for so long.
#define LEAST_MS 2000
#define MOST_MS 300000
#define ABSENT_MS 10000 // until a name that does not exist is asked for again
#define RETRY_MS 1000   // after the first failure; doubled by each that follows
#define RETRY_MOST_MS 30000

static int compare(const void *a, const void *b) {
    return strcasecmp(((const struct host_entry *)a)->name, ((const struct host_entry *)b)->name);
}

static int compare_key(const void *name, const void *entry) {
    return strcasecmp(name, ((const struct host_entry *)entry)->name);
}

// --- life

static size_t count_names(const struct config_outbound *outbound) {
    size_t num = outbound->num_listeners;
    for (size_t i = 0; i < outbound->num_rules; i++) {
        num += outbound->rules[i].hosts.num;
    }
    return num;
}

static struct host_table *table_new(size_t cap) {
    struct host_table *table = calloc(1, sizeof(*table));
    if (table == NULL) {
        return NULL;
    }
    atomic_init(&table->num_refs, 1);
    table->entries = calloc(cap + 1, sizeof(*table->entries));
    if (table->entries == NULL) {
        free(table);
        return NULL;
    }
    return table;
}

static bool add(struct host_table *table, const char *name) {
    struct host_entry *entry = &table->entries[table->num];
    entry->name = strdup(name);
    table->num += entry->name != NULL;
    return entry->name != NULL;
}

static bool add_names(struct host_table *table, const struct config_outbound *outbound) {
    bool ok = true;
    for (size_t i = 0; i < outbound->num_listeners; i++) {
        const char *host = outbound->listeners[i].destination.host;
        ok = ok && (host == NULL || add(table, host));
    }
    for (size_t i = 0; i < outbound->num_rules; i++) {
        const struct string_list *hosts = &outbound->rules[i].hosts;
        for (size_t j = 0; ok && j < hosts->num; j++) {
            ok = add(table, hosts->items[j]);
        }
    }
    return ok;
}

static void drop_repeated(struct host_table *table) {
    size_t num = 0;
    for (size_t i = 0; i < table->num; i++) {
        if (num > 0 && compare(&table->entries[num - 1], &table->entries[i]) == 0) {
            free(table->entries[i].name);
        } else {
            table->entries[num++] = table->entries[i];
        }
    }
    table->num = num;
}

// Everything but the name.
static void copy_knowledge(struct host_entry *to, const struct host_entry *from) {
    char *name = to->name;
    *to = *from;
    to->name = name;
}

static void copy_counts(struct host_table *to, const struct host_table *from) {
    to->num_found = from->num_found;
    to->num_absent = from->num_absent;
    to->num_failed = from->num_failed;
}

struct host_table *host_table_new(const struct config *config, const struct host_table *before) {
    OWNED(host_table_unref) struct host_table *table = table_new(count_names(&config->outbound));
    if (table == NULL || !add_names(table, &config->outbound)) {
        return NULL;
    }
    qsort(table->entries, table->num, sizeof(*table->entries), compare);
    drop_repeated(table);
    for (size_t i = 0; i < table->num; i++) {
        const struct host_entry *known = host_table_find(before, table->entries[i].name);
        if (known != NULL) {
            copy_knowledge(&table->entries[i], known);
        }
    }
    if (before != NULL) {
        copy_counts(table, before);
    }
    return take(&table);
}

struct host_table *host_table_copy(const struct host_table *table) {
    OWNED(host_table_unref) struct host_table *copy = table_new(table->num);
    for (size_t i = 0; copy != NULL && i < table->num; i++) {
        if (!add(copy, table->entries[i].name)) {
            return NULL;
        }
        copy_knowledge(&copy->entries[i], &table->entries[i]);
    }
    if (copy != NULL) {
        copy_counts(copy, table);
    }
    return take(&copy);
}

struct host_table *host_table_ref(struct host_table *table) {
    atomic_fetch_add_explicit(&table->num_refs, 1, memory_order_relaxed);
    return table;
}

void host_table_unref(struct host_table *table) {
    if (table == NULL || atomic_fetch_sub_explicit(&table->num_refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    for (size_t i = 0; i < table->num; i++) {
        free(table->entries[i].name);
    }
    free(table->entries);
    free(table);
}

// --- answers

static size_t find_address(const struct host_entry *entry, const struct netaddr *addr) {
    size_t i = 0;
    while (i < entry->num && !netaddr_ip_equal(&entry->addresses[i].ip, addr)) {
        i++;
    }
    return i;
}

// What `before` had and the entry has not follows as former, as long as that is believed.
static void keep_former(struct host_entry *entry, const struct host_entry *before, int64_t now_ms) {
    for (size_t i = 0; i < before->num && entry->num < HOST_ADDRESSES_MAX; i++) {
        struct host_address former = before->addresses[i];
        if (former.former_until_ms == 0) {
            former.former_until_ms = now_ms + HOST_FORMER_MS;
        }
        if (former.former_until_ms > now_ms && find_address(entry, &former.ip) == entry->num) {
            entry->addresses[entry->num++] = former;
        }
    }
}

static void take_answer(struct host_entry *entry, const struct resolve_result *result,
                        int64_t now_ms) {
    struct host_entry before = *entry;
    entry->num = 0;
    for (size_t i = 0; i < result->num; i++) {
        if (find_address(entry, &result->addr[i]) == entry->num) {
            entry->addresses[entry->num++] = (struct host_address){.ip = result->addr[i]};
        }
    }
    entry->num_current = entry->num;
    keep_former(entry, &before, now_ms);
    entry->is_known = true;
    entry->num_fails = 0;
}

static int64_t clamp(int64_t ms) {
    return ms < LEAST_MS ? LEAST_MS : ms > MOST_MS ? MOST_MS : ms;
}

static int64_t retry_ms(uint32_t num_fails) {
    int64_t wait = RETRY_MS;
    for (uint32_t i = 1; i < num_fails && wait < RETRY_MOST_MS; i++) {
        wait *= 2;
    }
    return wait < RETRY_MOST_MS ? wait : RETRY_MOST_MS;
}

void host_table_learn(struct host_table *table, struct host_entry *entry,
                      const struct resolve_job *job, int64_t now_ms) {
    text_copy(entry->last_error, sizeof(entry->last_error), job->why);
    switch (job->outcome) {
    case RESOLVE_FOUND:
        table->num_found++;
        take_answer(entry, &job->result, now_ms);
        entry->due_ms = now_ms + clamp(job->result.ttl_s * 1000);
        break;
    case RESOLVE_ABSENT:
        table->num_absent++;
        take_answer(entry, &job->result, now_ms);
        entry->due_ms = now_ms + ABSENT_MS;
        break;
    case RESOLVE_FAILED:
        table->num_failed++;
        entry->num_fails++;
        entry->due_ms = now_ms + retry_ms(entry->num_fails);
        break;
    }
}

// --- questions

const struct host_entry *host_table_find(const struct host_table *table, const char *name) {
    return table == NULL
               ? NULL
               : bsearch(name, table->entries, table->num, sizeof(*table->entries), compare_key);
}

bool host_entry_has(const struct host_entry *entry, const struct netaddr *addr) {
    return find_address(entry, addr) < entry->num;
}

static bool is_entry_same(const struct host_entry *a, const struct host_entry *b) {
    bool same = strcmp(a->name, b->name) == 0 && a->is_known == b->is_known && a->num == b->num &&
                a->num_current == b->num_current;
    for (size_t i = 0; same && i < a->num; i++) {
        same = netaddr_equal(&a->addresses[i].ip, &b->addresses[i].ip);
    }
    return same;
}

bool host_table_is_same(const struct host_table *a, const struct host_table *b) {
    bool same = a != NULL && b != NULL && a->num == b->num;
    for (size_t i = 0; same && i < a->num; i++) {
        same = is_entry_same(&a->entries[i], &b->entries[i]);
    }
    return same;
}

static const char *state_of(const struct host_entry *entry) {
    if (!entry->is_known) {
        return "pending";
    }
    return entry->num_fails > 0 ? "stale" : entry->num_current == 0 ? "absent" : "resolved";
}

void host_table_render(const struct host_table *table, struct view *out) {
    int64_t to_wall = clock_wall_ms() - clock_mono_ms();
    for (size_t i = 0; table != NULL && i < table->num; i++) {
        const struct host_entry *entry = &table->entries[i];
        struct host_view *view = view_add_host(out);
        if (view == NULL) {
            return;
        }
        text_copy(view->name, sizeof(view->name), entry->name);
        view->state = state_of(entry);
        view->until_ms = entry->due_ms == 0 ? 0 : entry->due_ms + to_wall;
        text_copy(view->last_error, sizeof(view->last_error), entry->last_error);
        for (size_t j = 0; j < entry->num_current && j < HOST_VIEW_ADDRESSES_MAX; j++) {
            view->addresses[view->num_addresses++] = entry->addresses[j].ip;
        }
    }
}
