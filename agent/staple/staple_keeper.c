#include "agent/staple/staple_keeper.h"

#include <stdlib.h>

#include "agent/staple/staple_ask.h"
#include "base/clock.h"
#include "base/stoppable.h"
#include "certmgr/patience.h"

#define LOOK_MS 2000 // the wall clock may be set, and time may pass while the host sleeps

struct staple_keeper {
    struct staple_keeper_sink *sink;
    struct staple_table *table; // the latest that was handed on
    struct stoppable thread;
};

static void hand_on(struct staple_keeper *keeper, struct staple_table *table) {
    staple_table_unref(keeper->table);
    keeper->table = table;
    staple_table_unref(mailbox_put(&keeper->sink->tables, staple_table_ref(table)));
    keeper->sink->wake(keeper->sink->arg);
}

static void ask(struct staple_keeper *keeper, size_t index) {
    const struct edge_asked *asked = &keeper->table->edges->asked.items[index];
    const struct patience patience = {
        .cancel_fd = keeper->thread.stop_fd,
        .deadline_ms = clock_mono_ms() + asked->options->response_timeout_ms,
    };
    struct staple_answer answer;
    staple_ask(asked, &patience, &answer);
    // Without memory it is asked again at the next look.
    struct staple_table *table =
        stoppable_is_stopped(&keeper->thread, 0) ? NULL : staple_table_copy(keeper->table);
    if (table != NULL) {
        staple_table_learn(table, index, &answer, clock_wall_s(), arc4random());
        hand_on(keeper, table);
    }
    CRYPTO_BUFFER_free(answer.response);
}

static void *run(void *arg) {
    struct staple_keeper *keeper = arg;
    do {
        for (size_t i = 0; i < keeper->table->num; i++) {
            if (!stoppable_is_stopped(&keeper->thread, 0) &&
                staple_table_is_due(&keeper->table->entries[i], clock_wall_s())) {
                ask(keeper, i);
            }
        }
    } while (!stoppable_is_stopped(&keeper->thread, LOOK_MS));
    return NULL;
}

struct staple_keeper *staple_keeper_start(struct staple_table *table,
                                          struct staple_keeper_sink *sink, struct err *err) {
    OWNED(staple_keeper_free) struct staple_keeper *keeper = calloc(1, sizeof(*keeper));
    if (keeper == NULL) {
        ERR_NO_MEMORY(err, "starting OCSP stapling");
        return NULL;
    }
    keeper->sink = sink;
    keeper->table = staple_table_ref(table);
    if (!stoppable_start(&keeper->thread, run, keeper, err)) {
        err_wrap(err, "starting OCSP stapling");
        return NULL;
    }
    return take(&keeper);
}

void staple_keeper_free(struct staple_keeper *keeper) {
    if (keeper == NULL) {
        return;
    }
    stoppable_stop(&keeper->thread);
    staple_table_unref(keeper->table);
    free(keeper);
}
