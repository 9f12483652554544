#include "agent/worker/conn.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/net/socket.h"
#include "agent/worker/conn_internal.h"
#include "agent/worker/worker.h"
#include "base/check.h"
#include "base/clock.h"

struct state_info {
    const char *name;
    int deadline_ms;
    enum close_reason reason;
};

static const struct state_info STATES[] = {
#define CONN_STATE(id, name, deadline_ms, reason) [id] = {name, deadline_ms, reason},
#include "agent/worker/conn_state.def"
#undef CONN_STATE
};

const char *conn_state_name(enum conn_state state) {
    return STATES[state].name;
}

static void end_late(struct conn *conn) {
    const struct state_info *state = &STATES[conn->state];
    char text[NETADDR_TEXT_MAX];
    conn_end_why(conn, state->reason, "%s took longer than %d s while connecting to %s",
                 state->name, state->deadline_ms / 1000, netaddr_format(&conn->destination, text));
}

static void on_timer(struct ev_loop *loop UNUSED, ev_timer *timer, int events UNUSED) {
    struct conn *conn = timer->data;
    switch (conn->state) {
    case CONN_DIAL:
        conn_on_dial_timeout(conn);
        break;
    case CONN_RESOLVE:
        conn_on_resolve_timeout(conn);
        break;
    case CONN_LOCATE:
        conn_on_locate_timeout(conn);
        break;
    case CONN_ASKED:
        conn_on_asked_timeout(conn);
        break;
    case CONN_SNIFF:
        conn_on_sniff_timeout(conn);
        break;
    case CONN_LINGER:
        conn_end(conn, conn->reason);
        break;
    case CONN_HTTP:
        conn_http_on_timer(conn);
        break;
    case CONN_RELAY:
        conn_on_relay_timer(conn);
        break;
    case CONN_FLUSH:
        conn_step(conn);
        break;
    default:
        end_late(conn);
        break;
    }
}

struct conn *conn_new(struct worker *worker, enum conn_kind kind, const struct netaddr *source) {
    struct conn *conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        return NULL;
    }
    conn->worker = worker;
    conn->snapshot = snapshot_ref(worker->snapshot);
    conn->id = worker->next_conn_id;
    worker->next_conn_id += worker->tunnels.id_step;
    conn->kind = kind;
    conn->source = *source;
    conn->dialling_fd = -1;
    conn->opened_at_ms = clock_wall_ms();
    conn->opened_mono_ms = clock_mono_ms();
    ev_init(&conn->timer, on_timer);
    conn->timer.data = conn;
    list_append(&worker->conns, &conn->node);
    enum direction direction = conn_direction(conn);
    _Atomic uint64_t *metrics = worker->counters.metrics;
    counter_add(&metrics[direction == OUTBOUND ? METRIC_OPENED_OUTBOUND : METRIC_OPENED_INBOUND],
                1);
    counter_add(&metrics[direction == OUTBOUND ? METRIC_OPEN_OUTBOUND : METRIC_OPEN_INBOUND], 1);
    atomic_fetch_add(&worker->shared->num_conns, 1);
    conn_audit_admit(conn);
    return conn;
}

void conn_wake(void *arg) {
    conn_step(arg);
}

static enum conn_state step_once(struct conn *conn) {
    switch (conn->state) {
    case CONN_NEW:
    case CONN_RESOLVE:
        return conn_decide(conn);
    case CONN_TUNNEL:
        return conn_step_tunnel(conn);
    case CONN_LOCATE:
        return conn_step_locate(conn);
    case CONN_ASKED:
        return conn_step_asked(conn);
    case CONN_PROXY:
        return conn_step_proxy(conn);
    case CONN_SNIFF:
    case CONN_SNIFF_TLS:
        return conn_step_sniff(conn);
    case CONN_NEAR_HANDSHAKE:
        return conn_step_near_handshake(conn);
    case CONN_LINGER:
        return conn_step_linger(conn);
    case CONN_APP_HANDSHAKE:
        return conn_step_app_handshake(conn);
    case CONN_DIAL:
        return conn_step_dial(conn);
    case CONN_HANDSHAKE:
        return conn_step_handshake(conn);
    case CONN_HTTP:
        return conn_step_http(conn);
    case CONN_RELAY:
        return conn_step_relay(conn);
    case CONN_FLUSH:
        return conn_step_flush(conn);
    case CONN_DEAD:
        break;
    }
    return CONN_DEAD;
}

// A configuration that was loaded while the connection was being opened has not looked at it yet.
static void reconsider_opened(struct conn *conn) {
    const struct snapshot *now = conn->worker->snapshot;
    bool open = conn->state == CONN_RELAY || conn->state == CONN_HTTP;
    if (open && conn->snapshot->config != now->config) {
        conn_reconsider(conn, now);
    }
}

static void count_plaintext(struct conn *conn, enum conn_state before) {
    bool opens = conn->state == CONN_RELAY || conn->state == CONN_HTTP;
    bool was_open = before == CONN_RELAY || before == CONN_HTTP;
    if (!opens || was_open || conn_has_security(conn)) {
        return;
    }
    enum metric metric =
        conn_direction(conn) == OUTBOUND ? METRIC_PLAINTEXT_OUTBOUND : METRIC_PLAINTEXT_INBOUND;
    counter_add(&conn->worker->counters.metrics[metric], 1);
}

// Sets the deadline of a state that was just entered.
static void arm_timer(struct conn *conn) {
    if (conn->timed_state == conn->state) {
        return;
    }
    conn->timed_state = conn->state;
    conn_unproven_note(conn);
    conn->timer.repeat = STATES[conn->state].deadline_ms / 1e3;
    ev_timer_again(conn->worker->loop, &conn->timer); // stops it when repeat is 0
}

void conn_step(struct conn *conn) {
    if (conn->stepping) {
        conn->again = true;
        return;
    }
    conn->stepping = true;
    enum conn_state before;
    do {
        conn->again = false;
        before = conn->state;
        enum conn_state next = step_once(conn);
        if (conn->state != CONN_DEAD) {
            conn->state = next;
        }
        if (conn->state != before) {
            count_plaintext(conn, before);
            reconsider_opened(conn);
        }
    } while (conn->state != CONN_DEAD && (conn->state != before || conn->again));
    conn->stepping = false;
    if (conn->state == CONN_DEAD) {
        return;
    }
    arm_timer(conn);
    if (conn->state == CONN_RELAY) {
        relay_arm(&conn->relay, conn->near, conn->far);
    } else if (conn->state == CONN_HTTP) {
        conn_http_arm(conn);
    }
}

static void let_go(struct leg *leg, bool orderly) {
    if (leg == NULL) {
        return;
    }
    if (orderly) {
        leg->ops->close(leg);
    } else {
        leg->ops->reset(leg);
    }
}

void conn_end(struct conn *conn, enum close_reason reason) {
    if (conn->state == CONN_DEAD) {
        return;
    }
    struct worker *worker = conn->worker;
    conn->reason = reason;
    conn_report_end(conn);
    conn->state = CONN_DEAD;
    enum direction direction = conn_direction(conn);
    counter_add(&worker->counters
                     .metrics[direction == OUTBOUND ? METRIC_OPEN_OUTBOUND : METRIC_OPEN_INBOUND],
                -1);
    counter_add(&worker->counters.closed[direction][reason], 1);
    conn_unproven_forget(conn);
    ev_timer_stop(worker->loop, &conn->timer);
    ev_io_stop(worker->loop, &conn->dial_io);
    tunnel_unwait(&conn->waiter);
    socket_close(conn->dialling_fd);
    conn->dialling_fd = -1;
    conn_http_free(conn);
    let_go(conn->far, reason == CLOSE_DONE);
    let_go(conn->near, reason == CLOSE_DONE || conn->has_lingered);
    fd_budget_give(&worker->shared->fds, conn->fds);
    if (conn->dial_port != 0) {
        atomic_fetch_sub_explicit(&worker->shared->dials[conn->dial_port], 1, memory_order_relaxed);
    }
    list_remove(&conn->node);
    list_append(&worker->dead_conns, &conn->node);
}

void conn_end_why(struct conn *conn, enum close_reason reason, const char *format, ...) {
    if (conn->state == CONN_DEAD) {
        return;
    }
    va_list args;
    va_start(args, format);
    free(conn->detail);
    if (vasprintf(&conn->detail, format, args) < 0) {
        conn->detail = NULL;
    }
    va_end(args);
    if (conn->detail != NULL && conn->detail[0] == '\0') {
        free(conn->detail); // the reason's own sentence says more
        conn->detail = NULL;
    }
    conn_end(conn, reason);
}

void conn_free(struct conn *conn) {
    CHECK(conn->state == CONN_DEAD);
    struct worker_shared *shared = conn->worker->shared;
    snapshot_unref(conn->snapshot);
    free(conn->detail);
    free(conn->proxy);
    free(conn->pod_answer);
    free(conn);
    if (atomic_fetch_sub(&shared->num_conns, 1) == 1) {
        shared->idle(shared->arg);
    }
}
