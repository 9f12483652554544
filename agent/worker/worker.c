#include "agent/worker/worker.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/worker/conn_internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#define LINGER_MS 4000
#define LINGER_POLL_S 0.01

void worker_orders_free(struct worker_orders *orders) {
    if (orders != NULL) {
        snapshot_unref(orders->snapshot);
        listener_set_unref(orders->listeners);
        free(orders);
    }
}

// --- tunnels tell --------------------------------------------------------------------------------

static void on_request(void *arg, struct tunnel *tunnel, struct h2_stream *stream,
                       const struct h2_request *request) {
    conn_request(arg, tunnel, stream, request);
}

static void on_tunnel_opened(void *arg, struct tunnel *tunnel) {
    struct worker *worker = arg;
    worker_trust_opened(worker, tunnel);
    const struct peer *peer = tunnel_peer(tunnel);
    if (tunnel->state != TUNNEL_DEAD && tunnel->direction == OUTBOUND && peer != NULL) {
        destinations_pin(worker->shared->destinations, &tunnel->peer_addr, &peer->id,
                         clock_wall_ms(), worker->snapshot->config->outbound.mesh_pin_for_ms);
    }
}

static void log_tunnel_gone(const struct tunnel *tunnel, const struct tunnel_failure *failure) {
    bool error = close_reason_is_error(failure->reason);
    struct log_line line;
    char text[NETADDR_TEXT_MAX];
    log_begin(&line, error ? LOG_WARN : LOG_DEBUG, "tunnel_closed");
    log_text(&line, "direction", direction_name(tunnel->direction));
    log_u64(&line, "tunnel", tunnel->id);
    log_text(&line, "reason", close_reason_name(failure->reason));
    log_text(&line, "peer", netaddr_format(&tunnel->peer_addr, text));
    const struct peer *peer = tunnel_peer(tunnel);
    log_text(&line, "peer_id", peer == NULL ? NULL : peer->id.text);
    log_u64(&line, "streams", tunnel->streams_total);
    log_text(&line, "detail", failure->detail);
    log_end(&line);
}

// A refused handshake has no connection to report it, on the server side.
static void on_tunnel_gone(void *arg, struct tunnel *tunnel, const struct tunnel_failure *failure) {
    struct worker *worker = arg;
    log_tunnel_gone(tunnel, failure);
    if (tunnel->direction == OUTBOUND || !close_reason_is_error(failure->reason) ||
        tunnel_peer(tunnel) != NULL) {
        return;
    }
    struct refusal_view view = {.at_ms = clock_wall_ms(),
                                .direction = INBOUND,
                                .reason = failure->reason,
                                .source = tunnel->peer_addr};
    memcpy(view.detail, failure->detail, sizeof(view.detail));
    refusals_add(worker->shared->refusals, &view);
    conn_audit_tunnel(worker, tunnel, failure);
}

// --- orders --------------------------------------------------------------------------------------

static void apply_policy(struct worker *worker) {
    LIST_FOR_EACH(&worker->conns, it) {
        conn_reconsider(LIST_ENTRY(it, struct conn, node), worker->snapshot);
    }
}

// What DNS has answered is there for those that wait for it.
static void step_waiting(struct worker *worker) {
    LIST_FOR_EACH(&worker->conns, it) {
        struct conn *conn = LIST_ENTRY(it, struct conn, node);
        if (conn->state == CONN_RESOLVE) {
            conn_step(conn);
        }
    }
}

static void start_draining(struct worker *worker) {
    worker->draining = true;
    LIST_FOR_EACH(&worker->tunnels.tunnels, it) {
        struct tunnel *tunnel = LIST_ENTRY(it, struct tunnel, node);
        if (tunnel->direction == INBOUND) {
            tunnel_retire(tunnel);
        }
    }
    LIST_FOR_EACH(&worker->conns, it) {
        struct conn *conn = LIST_ENTRY(it, struct conn, node);
        if (conn->state == CONN_HTTP) { // clients with a connection kept alive hear of it
            conn_step(conn);
        }
    }
}

static void cut_connections(struct worker *worker, enum close_reason reason) {
    LIST_FOR_EACH(&worker->conns, it) {
        conn_end(LIST_ENTRY(it, struct conn, node), reason);
    }
}

static void cut_all(struct worker *worker, enum close_reason reason) {
    cut_connections(worker, reason);
    LIST_FOR_EACH(&worker->tunnels.tunnels, it) {
        tunnel_fail_why(LIST_ENTRY(it, struct tunnel, node), CLOSE_DONE, "the sidecar ends");
    }
}

static void apply_orders(struct worker *worker, struct worker_orders *orders) {
    OWNED(snapshot_unref) struct snapshot *old = worker->snapshot;
    worker->snapshot = take(&orders->snapshot);
    worker_accept_apply(worker, orders->listeners);
    if (old == NULL || old->context != worker->snapshot->context ||
        old->state != worker->snapshot->state) {
        worker_trust_apply(worker);
    }
    if (old != NULL && old->config != worker->snapshot->config) {
        apply_policy(worker);
    }
    if (old != NULL && old->hosts != worker->snapshot->hosts) {
        step_waiting(worker);
    }
    if (orders->draining && !worker->draining) {
        start_draining(worker);
    }
}

// --- the end -------------------------------------------------------------------------------------

static bool is_delivered(const struct worker *worker) {
    LIST_FOR_EACH(&worker->tunnels.tunnels, it) {
        if (!tunnel_is_delivered(LIST_ENTRY(it, struct tunnel, node))) {
            return false;
        }
    }
    return true;
}

// What the last connections wrote is on its way through tunnels: the process's end would take it
// with it.
static void stop(struct worker *worker) {
    int64_t now = clock_mono_ms();
    if (worker->linger_until_ms == 0) {
        worker->linger_until_ms = now + (list_is_empty(&worker->conns) ? LINGER_MS : 0);
        worker_accept_stop(worker);
        cut_connections(worker, CLOSE_DRAIN_DEADLINE);
        tunnel_env_end_turn(&worker->tunnels);
    }
    if (now < worker->linger_until_ms && !is_delivered(worker)) {
        ev_timer_set(&worker->linger, LINGER_POLL_S, 0);
        ev_timer_start(worker->loop, &worker->linger);
        return;
    }
    cut_all(worker, CLOSE_DRAIN_DEADLINE);
    tunnel_env_end_turn(&worker->tunnels);
    ev_break(worker->loop, EVBREAK_ALL);
}

static void on_linger(struct ev_loop *loop UNUSED, ev_timer *linger, int events UNUSED) {
    stop(linger->data);
}

// --- the loop ------------------------------------------------------------------------------------

static void on_wake(struct ev_loop *loop UNUSED, ev_async *wake, int events UNUSED) {
    struct worker *worker = wake->data;
    OWNED(worker_orders_free) struct worker_orders *orders = mailbox_take(&worker->orders);
    if (orders != NULL) {
        apply_orders(worker, orders);
    }
    worker_answer_collect(worker);
    if (atomic_load(&worker->stop)) {
        stop(worker);
    }
}

static void reap(struct worker *worker) {
    while (!list_is_empty(&worker->dead_conns)) {
        struct conn *conn = LIST_ENTRY(worker->dead_conns.head.next, struct conn, node);
        list_remove(&conn->node);
        conn_free(conn);
    }
}

static void on_prepare(struct ev_loop *loop UNUSED, ev_prepare *prepare, int events UNUSED) {
    struct worker *worker = prepare->data;
    tunnel_env_end_turn(&worker->tunnels);
    if (!list_is_empty(&worker->tunnels.dirty)) {
        ev_timer_start(worker->loop, &worker->kick); // there is more to do: do not sleep
    }
    if (!list_is_empty(&worker->dead_conns)) {
        reap(worker);
        worker_accept_resume(worker);
    }
    atomic_store(&worker->closed, worker->draining && worker->num_acceptors == 0 &&
                                      worker->tunnels.num_handshaking == 0);
    atomic_store_explicit(&worker->last_turn_ms, clock_mono_ms(), memory_order_relaxed);
}

// Certificates end by the wall clock, which may jump: looked at once a second.
static void on_tick(struct ev_loop *loop UNUSED, ev_timer *tick, int events UNUSED) {
    struct worker *worker = tick->data;
    worker_trust_tick(worker);
    conn_report_tick(worker);
    LIST_FOR_EACH(&worker->conns, it) {
        conn_tick(LIST_ENTRY(it, struct conn, node));
    }
}

static void on_kick(struct ev_loop *loop UNUSED, ev_timer *timer UNUSED, int events UNUSED) {
}

static void on_resume(struct ev_loop *loop UNUSED, ev_timer *timer, int events UNUSED) {
    worker_accept_resume(timer->data);
}

static void *run(void *arg) {
    struct worker *worker = arg;
    ev_run(worker->loop, 0);
    return NULL;
}

// --- life ----------------------------------------------------------------------------------------

// Plaintext of every connection passes here: it is in no core file.
static struct worker_scratch *scratch_new(void) {
    void *mem = mmap(NULL, sizeof(struct worker_scratch), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mem == MAP_FAILED) {
        return NULL;
    }
    (void)madvise(mem, sizeof(struct worker_scratch), MADV_DONTDUMP);
    return mem;
}

static void scratch_free(struct worker_scratch *scratch) {
    if (scratch != NULL) {
        munmap(scratch, sizeof(*scratch));
    }
}

static void worker_free(struct worker *worker) {
    if (worker == NULL) {
        return;
    }
    if (worker->loop != NULL) {
        worker_accept_stop(worker);
        reap(worker);
        ev_loop_destroy(worker->loop);
    }
    worker_orders_free(mailbox_take(&worker->orders));
    worker_answer_collect(worker);
    snapshot_unref(worker->snapshot);
    own_addresses_free(worker->own);
    scratch_free(worker->scratch);
    free(worker);
}
OWN_DEFINE(struct worker, worker_free)

static void init_watchers(struct worker *worker) {
    ev_async_init(&worker->wake, on_wake);
    worker->wake.data = worker;
    ev_async_start(worker->loop, &worker->wake);
    ev_prepare_init(&worker->prepare, on_prepare);
    worker->prepare.data = worker;
    ev_prepare_start(worker->loop, &worker->prepare);
    ev_timer_init(&worker->tick, on_tick, 1, 1);
    worker->tick.data = worker;
    ev_timer_start(worker->loop, &worker->tick);
    ev_timer_init(&worker->kick, on_kick, 0, 0);
    ev_init(&worker->linger, on_linger);
    worker->linger.data = worker;
    ev_init(&worker->resume, on_resume);
    worker->resume.data = worker;
}

static void init_tunnels(struct worker *worker, unsigned index, unsigned num_workers) {
    struct tunnel_env *env = &worker->tunnels;
    tunnel_env_init(env);
    env->loop = worker->loop;
    env->turn = &worker->scratch->turn;
    env->counters = &worker->counters;
    env->fds_left = &worker->shared->fds.left;
    env->next_id = index + 1;
    env->id_step = num_workers;
    env->arg = worker;
    env->request = on_request;
    env->opened = on_tunnel_opened;
    env->gone = on_tunnel_gone;
    pool_init(&worker->pool, env);
}

static bool start_thread(struct worker *worker, struct err *err) {
    int errnum = thread_start(&worker->thread, run, worker);
    if (errnum != 0) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errnum, "cannot start worker %u", worker->index);
    }
    return true;
}

struct worker *worker_start(unsigned index, unsigned num_workers, struct worker_shared *shared,
                            struct worker_orders *orders, struct err *err) {
    OWNED(worker_orders_free) struct worker_orders *first = orders;
    OWNED(worker_free) struct worker *worker = calloc(1, sizeof(*worker));
    if (worker == NULL) {
        ERR_NO_MEMORY(err, "starting a worker");
        return NULL;
    }
    worker->index = index;
    worker->shared = shared;
    worker->next_conn_id = index + 1;
    list_init(&worker->conns);
    list_init(&worker->unproven);
    list_init(&worker->dead_conns);
    worker->scratch = scratch_new();
    worker->own = own_addresses_new();
    worker->loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
    if (worker->scratch == NULL || worker->own == NULL || worker->loop == NULL) {
        ERR_NO_MEMORY(err, "starting a worker");
        return NULL;
    }
    init_tunnels(worker, index, num_workers);
    init_watchers(worker);
    atomic_store(&worker->last_turn_ms, clock_mono_ms());
    apply_orders(worker, first);
    return start_thread(worker, err) ? take(&worker) : NULL;
}

void worker_command(struct worker *worker, struct worker_orders *orders) {
    worker_orders_free(mailbox_put(&worker->orders, orders));
    ev_async_send(worker->loop, &worker->wake);
}

bool worker_is_closed(const struct worker *worker) {
    return atomic_load(&worker->closed);
}

void worker_ask_to_stop(struct worker *worker) {
    if (worker != NULL) {
        atomic_store(&worker->stop, true);
        ev_async_send(worker->loop, &worker->wake);
    }
}

void worker_stop(struct worker *worker) {
    if (worker == NULL) {
        return;
    }
    worker_ask_to_stop(worker);
    pthread_join(worker->thread, NULL);
    worker_free(worker);
}
