// Views across threads: the control loop leaves a request, the worker fills it in on its own loop.
// A request that was given up is freed by whichever side comes last.
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "agent/worker/worker.h"

struct worker_collect {
    _Atomic int refs; // the asker and the worker
    sem_t done;
    unsigned parts;
    struct view view;
};

static void collect_unref(struct worker_collect *collect) {
    if (collect != NULL && atomic_fetch_sub(&collect->refs, 1) == 1) {
        sem_destroy(&collect->done);
        view_fini(&collect->view);
        free(collect);
    }
}

static void render(struct worker *worker, unsigned parts, struct view *view) {
    if ((parts & VIEW_CONNECTIONS) != 0) {
        LIST_FOR_EACH(&worker->conns, it) {
            struct connection_view *out = view_add_connection(view);
            if (out != NULL) {
                conn_render(LIST_ENTRY(it, struct conn, node), out);
            }
        }
    }
    if ((parts & VIEW_TUNNELS) != 0) {
        LIST_FOR_EACH(&worker->tunnels.tunnels, it) {
            struct tunnel_view *out = view_add_tunnel(view);
            if (out != NULL) {
                tunnel_render(LIST_ENTRY(it, struct tunnel, node), out);
                out->worker = worker->index;
            }
        }
    }
}

void worker_answer_collect(struct worker *worker) {
    struct worker_collect *collect = mailbox_take(&worker->collects);
    if (collect != NULL) {
        render(worker, collect->parts, &collect->view);
        sem_post(&collect->done);
        collect_unref(collect);
    }
}

static bool wait_for(sem_t *done, int timeout_ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + (int64_t)timeout_ms * 1000000;
    until.tv_sec += ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    int got = 0;
    do {
        got = sem_clockwait(done, CLOCK_MONOTONIC, &until);
    } while (got != 0 && errno == EINTR);
    return got == 0;
}

// Moves the elements of `from` behind those of `into`.
static void append(struct view *into, const struct view *from) {
    for (size_t i = 0; i < from->num_connections; i++) {
        struct connection_view *out = view_add_connection(into);
        if (out != NULL) {
            *out = from->connections[i];
        }
    }
    for (size_t i = 0; i < from->num_tunnels; i++) {
        struct tunnel_view *out = view_add_tunnel(into);
        if (out != NULL) {
            *out = from->tunnels[i];
        }
    }
}

bool worker_collect(struct worker *worker, unsigned parts, struct view *out, int timeout_ms) {
    struct worker_collect *collect = calloc(1, sizeof(*collect));
    if (collect == NULL) {
        return false;
    }
    collect->refs = 2;
    collect->parts = parts;
    sem_init(&collect->done, 0, 0);
    collect_unref(mailbox_put(&worker->collects, collect)); // one that was given up
    ev_async_send(worker->loop, &worker->wake);
    bool answered = wait_for(&collect->done, timeout_ms);
    if (answered) {
        append(out, &collect->view);
    }
    collect_unref(collect);
    return answered;
}

// Orders are taken before questions are answered.
bool worker_settle(struct worker *worker, int timeout_ms) {
    struct view nothing = {0};
    bool answered = worker_collect(worker, 0, &nothing, timeout_ms);
    view_fini(&nothing);
    return answered;
}
