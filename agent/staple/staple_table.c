#include "agent/staple/staple_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define JITTER_SHARE 10 // up to a tenth earlier

// --- life

static bool is_same(const CRYPTO_BUFFER *a, const CRYPTO_BUFFER *b) {
    return CRYPTO_BUFFER_len(a) == CRYPTO_BUFFER_len(b) &&
           memcmp(CRYPTO_BUFFER_data(a), CRYPTO_BUFFER_data(b), CRYPTO_BUFFER_len(a)) == 0;
}

static const struct staple_entry *find_before(const struct staple_table *before,
                                              const struct edge_asked *asked) {
    for (size_t i = 0; before != NULL && i < before->num; i++) {
        const struct edge_asked *other = &before->edges->asked.items[i];
        if (is_same(asked->cert->chain[0], other->cert->chain[0]) &&
            is_same(asked->cert->chain[1], other->cert->chain[1]) &&
            strcmp(asked->responder, other->responder) == 0) {
            return &before->entries[i];
        }
    }
    return NULL;
}

static void copy_entry(struct staple_entry *to, const struct staple_entry *from) {
    *to = *from;
    if (from->response != NULL) {
        CRYPTO_BUFFER_up_ref(from->response);
    }
}

// The interval may be a shorter one now.
static int64_t due_after_reload(const struct staple_entry *known, const struct edge_asked *asked) {
    int64_t latest = known->asked_s + asked->options->query_interval_ms / 1000;
    return known->num_fails > 0 ? 0 : latest < known->due_s ? latest : known->due_s;
}

static void copy_counts(struct staple_table *to, const struct staple_table *from) {
    memcpy(to->num_answers, from->num_answers, sizeof(to->num_answers));
    to->num_failed = from->num_failed;
}

static struct staple_table *table_new(struct edge_set *edges) {
    struct staple_table *table = calloc(1, sizeof(*table));
    if (table == NULL) {
        return NULL;
    }
    atomic_init(&table->num_refs, 1);
    table->num = edges->asked.num;
    table->entries = calloc(table->num + 1, sizeof(*table->entries));
    if (table->entries == NULL) {
        free(table);
        return NULL;
    }
    table->edges = edge_set_ref(edges);
    return table;
}

struct staple_table *staple_table_new(struct edge_set *edges, const struct staple_table *before) {
    struct staple_table *table = table_new(edges);
    for (size_t i = 0; table != NULL && i < table->num; i++) {
        const struct staple_entry *known = find_before(before, &edges->asked.items[i]);
        if (known != NULL) {
            copy_entry(&table->entries[i], known);
            table->entries[i].due_s = due_after_reload(known, &edges->asked.items[i]);
        }
    }
    if (table != NULL && before != NULL) {
        copy_counts(table, before);
    }
    return table;
}

struct staple_table *staple_table_copy(const struct staple_table *table) {
    struct staple_table *copy = table_new(table->edges);
    for (size_t i = 0; copy != NULL && i < table->num; i++) {
        copy_entry(&copy->entries[i], &table->entries[i]);
    }
    if (copy != NULL) {
        copy_counts(copy, table);
    }
    return copy;
}

struct staple_table *staple_table_ref(struct staple_table *table) {
    atomic_fetch_add_explicit(&table->num_refs, 1, memory_order_relaxed);
    return table;
}

void staple_table_unref(struct staple_table *table) {
    if (table == NULL || atomic_fetch_sub_explicit(&table->num_refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    for (size_t i = 0; i < table->num; i++) {
        CRYPTO_BUFFER_free(table->entries[i].response);
    }
    free(table->entries);
    edge_set_unref(table->edges);
    free(table);
}

// --- when

bool staple_table_is_due(const struct staple_entry *entry, int64_t now) {
    return now >= entry->due_s || now < entry->asked_s;
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b) {
    return a > b ? a : b;
}

// At half of the response's time, so that there is the other half for a responder that is down.
static int64_t wait_after_success(const struct stapling_options *options,
                                  const struct staple_entry *entry, int64_t now) {
    int64_t query = options->query_interval_ms / 1000;
    int64_t wait = query;
    if (entry->next_update != INT64_MAX) {
        int64_t half = entry->this_update + (entry->next_update - entry->this_update) / 2;
        wait = least(wait, half - now);
    }
    return most(wait, least(options->recovery_interval_ms / 1000, query));
}

static int64_t wait_after_failure(const struct stapling_options *options,
                                  const struct staple_entry *entry, int64_t now) {
    int64_t recovery = options->recovery_interval_ms / 1000;
    int64_t query = options->query_interval_ms / 1000;
    int64_t wait = entry->num_fails > options->recovery_max_tries ? query : recovery;
    for (uint32_t i = 1; i < entry->num_fails && wait < query; i++) {
        wait *= 2;
    }
    if (entry->response != NULL && entry->until > now) { // while there is something to save
        wait = least(wait, most((entry->until - now) / 2, recovery));
    }
    return least(wait, query);
}

static int64_t earlier(int64_t wait, uint32_t random) {
    return wait - (int64_t)(random % (uint64_t)(wait / JITTER_SHARE + 1));
}

// --- answers

static const char *judge(const struct staple_entry *entry, const struct staple_answer *answer,
                         int64_t now) {
    const struct ocsp_response *facts = &answer->facts;
    if (facts->this_update > now + STAPLE_SKEW_S) {
        return "invalid_ocsp_response: the response begins in the future";
    }
    if (facts->next_update <= now) {
        return "invalid_ocsp_response: the response has expired";
    }
    if (entry->response != NULL && facts->this_update < entry->this_update) {
        return "invalid_ocsp_response: the response is older than the one before";
    }
    return NULL;
}

// Newer information is always there, says a response without nextUpdate: it lasts until it has been
// asked for twice.
static int64_t until_of(const struct stapling_options *options, const struct ocsp_response *facts,
                        int64_t now) {
    return facts->next_update != INT64_MAX ? facts->next_update
                                           : now + 2 * (options->query_interval_ms / 1000);
}

static void take_response(struct staple_entry *entry, const struct staple_answer *answer,
                          int64_t until) {
    CRYPTO_BUFFER_up_ref(answer->response);
    CRYPTO_BUFFER_free(entry->response);
    entry->response = answer->response;
    entry->status = answer->facts.status;
    entry->this_update = answer->facts.this_update;
    entry->next_update = answer->facts.next_update;
    entry->until = until;
    entry->num_fails = 0;
    entry->last_error[0] = '\0';
}

void staple_table_learn(struct staple_table *table, size_t index,
                        const struct staple_answer *answer, int64_t now, uint32_t random) {
    const struct stapling_options *options = table->edges->asked.items[index].options;
    struct staple_entry *entry = &table->entries[index];
    const char *why = answer->response == NULL ? answer->why : judge(entry, answer, now);
    entry->asked_s = now;
    if (why == NULL) {
        take_response(entry, answer, until_of(options, &answer->facts, now));
        table->num_answers[entry->status]++;
        entry->due_s = now + earlier(wait_after_success(options, entry, now), random);
    } else {
        entry->num_fails++;
        table->num_failed++;
        text_copy(entry->last_error, sizeof(entry->last_error), why);
        entry->due_s = now + earlier(wait_after_failure(options, entry, now), random);
    }
}

// --- what comes of them

bool staple_table_is_sent(const struct staple_table *table, size_t index) {
    const struct staple_entry *entry = &table->entries[index];
    const struct stapling_options *options = table->edges->asked.items[index].options;
    return entry->response != NULL && (entry->status == OCSP_GOOD || options->staple_revoked);
}

struct edge_staples *staple_table_publish(const struct staple_table *table) {
    struct edge_staples *staples = edge_staples_new(table->num);
    for (size_t i = 0; staples != NULL && i < table->num; i++) {
        const struct staple_entry *entry = &table->entries[i];
        if (staple_table_is_sent(table, i)) {
            CRYPTO_BUFFER_up_ref(entry->response);
            staples->items[i] =
                (struct edge_staple){.response = entry->response, .until = entry->until};
        }
    }
    return staples;
}

static struct certificate_view *find_row(struct view *out, const struct edge_asked *asked) {
    char name[sizeof(out->certificates->logical_name)];
    (void)snprintf(name, sizeof(name), "inbound/%u/%s", asked->port, asked->cert->name);
    for (size_t i = 0; i < out->num_certificates; i++) {
        if (strcmp(out->certificates[i].logical_name, name) == 0) {
            return &out->certificates[i];
        }
    }
    return NULL;
}

void staple_table_render(const struct staple_table *table, struct view *out) {
    for (size_t i = 0; table != NULL && i < table->num; i++) {
        const struct edge_asked *asked = &table->edges->asked.items[i];
        const struct staple_entry *entry = &table->entries[i];
        struct certificate_view *row = find_row(out, asked);
        if (row == NULL) {
            continue;
        }
        struct staple_view *staple = &row->staple;
        staple->status = entry->response == NULL ? "pending" : ocsp_status_name(entry->status);
        staple->is_wanted = staple_table_is_sent(table, i);
        staple->from = 0;
        staple->until = entry->until;
        staple->asked_s = entry->asked_s;
        staple->due_s = entry->due_s;
        text_copy(staple->source, sizeof(staple->source), asked->responder);
        text_copy(staple->last_error, sizeof(staple->last_error), entry->last_error);
    }
}
