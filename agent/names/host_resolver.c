#include "agent/names/host_resolver.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/stoppable.h"
#include "certmgr/patience.h"
#include "certmgr/resolve.h"

#define LOOKUP_MS 6000  // for all names that are due
#define TOGETHER_MS 100 // names that are due so soon are asked for with those that are due now
#define SLEEP_MOST_MS 60000

struct host_resolver {
    struct host_resolver_sink *sink;
    struct host_table *table; // the latest that was handed on
    struct stoppable thread;
};

static int64_t next_due_ms(const struct host_table *table) {
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < table->num; i++) {
        next = table->entries[i].due_ms < next ? table->entries[i].due_ms : next;
    }
    return next;
}

static void hand_on(struct host_resolver *resolver, struct host_table *table) {
    host_table_unref(resolver->table);
    resolver->table = table;
    host_table_unref(mailbox_put(&resolver->sink->tables, host_table_ref(table)));
    resolver->sink->wake(resolver->sink->arg);
}

// Asks for what is due. False: memory is short; nothing has changed.
static bool look_up(struct host_resolver *resolver, int64_t now_ms) {
    OWNED(host_table_unref) struct host_table *table = host_table_copy(resolver->table);
    struct resolve_job *jobs = table == NULL ? NULL : calloc(table->num + 1, sizeof(*jobs));
    struct host_entry **due =
        table == NULL ? NULL : calloc(table->num + 1, sizeof(struct host_entry *));
    size_t num = 0;
    bool ok = jobs != NULL && due != NULL;
    for (size_t i = 0; ok && i < table->num; i++) {
        if (table->entries[i].due_ms <= now_ms + TOGETHER_MS) {
            due[num] = &table->entries[i];
            jobs[num++].host = table->entries[i].name;
        }
    }
    if (ok) {
        struct patience patience = {.cancel_fd = resolver->thread.stop_fd,
                                    .deadline_ms = now_ms + LOOKUP_MS};
        resolve_hosts(jobs, num, &patience);
        for (size_t i = 0; i < num; i++) {
            host_table_learn(table, due[i], &jobs[i], clock_mono_ms());
        }
        hand_on(resolver, take(&table));
    }
    free(jobs);
    free(due);
    return ok;
}

static int sleep_ms(const struct host_resolver *resolver, bool ok) {
    int64_t left = next_due_ms(resolver->table) - clock_mono_ms();
    if (!ok || left > SLEEP_MOST_MS) {
        return ok ? SLEEP_MOST_MS : 1000;
    }
    return left < 0 ? 0 : (int)left + 1;
}

static void *run(void *arg) {
    struct host_resolver *resolver = arg;
    bool ok = true;
    do {
        int64_t now_ms = clock_mono_ms();
        if (next_due_ms(resolver->table) <= now_ms) {
            ok = look_up(resolver, now_ms);
        }
    } while (!stoppable_is_stopped(&resolver->thread, sleep_ms(resolver, ok)));
    return NULL;
}

struct host_resolver *host_resolver_start(struct host_table *table, struct host_resolver_sink *sink,
                                          struct err *err) {
    OWNED(host_resolver_free) struct host_resolver *resolver = calloc(1, sizeof(*resolver));
    if (resolver == NULL) {
        ERR_NO_MEMORY(err, "starting the resolver");
        return NULL;
    }
    resolver->sink = sink;
    resolver->table = host_table_ref(table);
    if (!stoppable_start(&resolver->thread, run, resolver, err)) {
        err_wrap(err, "starting the resolver");
        return NULL;
    }
    return take(&resolver);
}

void host_resolver_free(struct host_resolver *resolver) {
    if (resolver == NULL) {
        return;
    }
    stoppable_stop(&resolver->thread);
    host_table_unref(resolver->table);
    free(resolver);
}
