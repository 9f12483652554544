#include "agent/staple/staple_keeper.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/staple/staple_ask.h"
#include "base/clock.h"
#include "base/thread.h"
#include "certmgr/patience.h"

#define LOOK_MS 2000 // the wall clock may be set, and time may pass while the host sleeps

struct staple_keeper {
    struct staple_keeper_sink *sink;
    struct staple_table *table; // the latest that was handed on
    pthread_t thread;
    bool has_thread;
    int stop_fd;
};

static void hand_on(struct staple_keeper *keeper, struct staple_table *table) {
    staple_table_unref(keeper->table);
    keeper->table = table;
    staple_table_unref(mailbox_put(&keeper->sink->tables, staple_table_ref(table)));
    keeper->sink->wake(keeper->sink->arg);
}

static bool is_stopped(const struct staple_keeper *keeper, int wait_ms) {
    struct pollfd stop = {.fd = keeper->stop_fd, .events = POLLIN};
    return poll(&stop, 1, wait_ms) > 0;
}

static void ask(struct staple_keeper *keeper, size_t index) {
    const struct edge_asked *asked = &keeper->table->edges->asked.items[index];
    const struct patience patience = {
        .cancel_fd = keeper->stop_fd,
        .deadline_ms = clock_mono_ms() + asked->options->response_timeout_ms,
    };
    struct staple_answer answer;
    staple_ask(asked, &patience, &answer);
    // Without memory it is asked again at the next look.
    struct staple_table *table = is_stopped(keeper, 0) ? NULL : staple_table_copy(keeper->table);
    if (table != NULL) {
        staple_table_learn(table, index, &answer, clock_wall_s(), arc4random());
        hand_on(keeper, table);
    }
    CRYPTO_BUFFER_free(answer.response);
}

static void *run(void *arg) {
    struct staple_keeper *keeper = arg;
    do {
        for (size_t i = 0; i < keeper->table->num && !is_stopped(keeper, 0); i++) {
            if (staple_table_is_due(&keeper->table->entries[i], clock_wall_s())) {
                ask(keeper, i);
            }
        }
    } while (!is_stopped(keeper, LOOK_MS));
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
    keeper->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (keeper->stop_fd < 0) {
        ERR_SET(err, ERR_ENVIRONMENT, "no descriptor is left for OCSP stapling");
        return NULL;
    }
    int errnum = thread_start(&keeper->thread, run, keeper);
    if (errnum != 0) {
        ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errnum, "cannot start the thread for OCSP stapling");
        return NULL;
    }
    keeper->has_thread = true;
    return take(&keeper);
}

void staple_keeper_free(struct staple_keeper *keeper) {
    if (keeper == NULL) {
        return;
    }
    if (keeper->has_thread) {
        const uint64_t one = 1;
        (void)!write(keeper->stop_fd, &one, sizeof(one));
        pthread_join(keeper->thread, NULL);
    }
    if (keeper->stop_fd >= 0) {
        close(keeper->stop_fd);
    }
    staple_table_unref(keeper->table);
    free(keeper);
}
