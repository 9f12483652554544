// Accepting: one watcher per socket. Out of descriptors it pauses instead of spinning, and what
// waits stays in the kernel's queue.
#include <stdlib.h>

#include "agent/net/socket.h"
#include "agent/worker/worker.h"
#include "base/clock.h"

#define RESUME_S 0.05
#define ACCEPTS_PER_TURN 64

static void each_acceptor(struct worker *worker, bool start) {
    for (size_t i = 0; i < worker->num_acceptors; i++) {
        if (start) {
            ev_io_start(worker->loop, &worker->acceptors[i].io);
        } else {
            ev_io_stop(worker->loop, &worker->acceptors[i].io);
        }
    }
}

void worker_accept_pause(struct worker *worker) {
    if (worker->paused) {
        return;
    }
    worker->paused = true;
    each_acceptor(worker, false);
    counter_add(&worker->counters.metrics[METRIC_ACCEPT_PAUSES], 1);
    worker->resume.repeat = RESUME_S;
    ev_timer_again(worker->loop, &worker->resume);
}

void worker_accept_resume(struct worker *worker) {
    if (worker->paused && atomic_load(&worker->shared->fds.left) >= 2) {
        worker->paused = false;
        ev_timer_stop(worker->loop, &worker->resume);
        each_acceptor(worker, true);
    }
}

// Whoever has not proven an identity gets at most half of the descriptors that are left.
static bool has_too_many_handshakes(const struct worker *worker) {
    size_t num = worker->tunnels.num_handshaking;
    return num >= WORKER_HANDSHAKES_MAX || (int)num >= atomic_load(&worker->shared->fds.left);
}

// Those that have been in the handshake longest are the likeliest to be idle on purpose.
static void make_room_for_handshake(struct worker *worker) {
    struct tunnel_env *env = &worker->tunnels;
    if (env->num_handshaking > 0 && has_too_many_handshakes(worker)) {
        struct tunnel *oldest =
            LIST_ENTRY(env->handshaking.head.next, struct tunnel, handshake_node);
        tunnel_fail_why(oldest, CLOSE_LIMIT, "too many handshakes at once; the oldest gave way");
    }
}

static void accept_tunnel(struct worker *worker, int fd, const struct netaddr *peer) {
    enum close_reason missing = CLOSE_NONE;
    struct tls_context *context = snapshot_context(worker->snapshot, clock_wall_s(), &missing);
    if (context == NULL) {
        socket_reset(fd);
        counter_add(&worker->counters.metrics[METRIC_HANDSHAKE_IN_REFUSED], 1);
        struct refusal_view view = {.at_ms = clock_wall_ms(),
                                    .direction = INBOUND,
                                    .reason = missing,
                                    .source = *peer,
                                    .detail = "a tunnel was refused"};
        refusals_add(worker->shared->refusals, &view);
        return;
    }
    make_room_for_handshake(worker);
    (void)tunnel_accept(&worker->tunnels, fd, peer, context, worker->snapshot->config);
}

// False: pause.
static bool accept_one(struct acceptor *acceptor, bool *more) {
    struct worker *worker = acceptor->worker;
    bool tunnel = acceptor->listener->kind == LISTENER_TUNNEL;
    int fd = -1;
    struct netaddr peer;
    *more = false;
    // A tunnel counts for itself; a connection may need a second descriptor to go on.
    bool room = tunnel ? atomic_load(&worker->shared->fds.left) > 0
                       : fd_budget_take(&worker->shared->fds, 2);
    if (!room) {
        return false;
    }
    enum socket_outcome outcome = socket_accept(acceptor->io.fd, &fd, &peer);
    if (outcome != SOCKET_OK) {
        fd_budget_give(&worker->shared->fds, tunnel ? 0 : 2);
        counter_add(&worker->counters.metrics[METRIC_ACCEPT_ERRORS], outcome != SOCKET_AGAIN);
        *more = outcome == SOCKET_FAILED; // that one is gone; others may wait
        return outcome != SOCKET_EXHAUSTED;
    }
    *more = true;
    if (tunnel) {
        *more = !has_too_many_handshakes(worker); // the one that gives way frees its own in the end
        accept_tunnel(worker, fd, &peer);
    } else {
        conn_accept(worker, acceptor->listener, fd, &peer);
    }
    return true;
}

static void on_acceptable(struct ev_loop *loop UNUSED, ev_io *io, int events UNUSED) {
    struct acceptor *acceptor = io->data;
    int budget = acceptor->budget;
    bool more = true;
    int num = 0;
    for (; more && num < budget; num++) {
        if (!accept_one(acceptor, &more)) {
            worker_accept_pause(acceptor->worker);
            return;
        }
    }
    // Level-triggered: what is left announces itself again. A call that only hears "none" is saved
    // where connections come one at a time.
    int next = more ? 2 * budget : num - 1;
    acceptor->budget = next < 1 ? 1 : next > ACCEPTS_PER_TURN ? ACCEPTS_PER_TURN : next;
}

void worker_accept_stop(struct worker *worker) {
    each_acceptor(worker, false);
    free(worker->acceptors);
    worker->acceptors = NULL;
    worker->num_acceptors = 0;
    listener_set_unref(take(&worker->listeners));
}

static size_t count_slots(const struct worker *worker, const struct listener_set *listeners) {
    size_t num = 0;
    for (size_t i = 0; i < listeners->num; i++) {
        for (size_t s = worker->index; s < listeners->items[i].num_slots; s += listeners->workers) {
            num++;
        }
    }
    return num;
}

static void add_acceptor(struct worker *worker, const struct listener *listener, size_t slot) {
    struct acceptor *acceptor = &worker->acceptors[worker->num_acceptors++];
    acceptor->worker = worker;
    acceptor->budget = 1;
    acceptor->listener = listener;
    ev_io_init(&acceptor->io, on_acceptable, listener_fd(listener, slot), EV_READ);
    acceptor->io.data = acceptor;
}

void worker_accept_apply(struct worker *worker, struct listener_set *listeners) {
    if (listeners == worker->listeners) {
        return;
    }
    struct acceptor *acceptors = calloc(count_slots(worker, listeners) + 1, sizeof(*acceptors));
    if (acceptors == NULL) {
        return; // the old listeners go on; the next orders try again
    }
    worker_accept_stop(worker);
    worker->listeners = listener_set_ref(listeners);
    worker->acceptors = acceptors;
    for (size_t i = 0; i < listeners->num; i++) {
        const struct listener *listener = &listeners->items[i];
        for (size_t s = worker->index; s < listener->num_slots; s += listeners->workers) {
            add_acceptor(worker, listener, s);
        }
    }
    each_acceptor(worker, !worker->paused);
}
