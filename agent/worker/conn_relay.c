// An open connection, and how it ends.
#include "agent/worker/conn_internal.h"

#include "agent/net/socket.h"
#include "agent/worker/worker.h"
#include "base/clock.h"

// A half-closed connection without a byte for this long is given up; keepalives find dead peers
// sooner.
#define HALF_CLOSE_IDLE_MS (60 * 60 * 1000)
// Conntrack forgets a half-closed redirected connection after 60 s without traffic:
// these keep it known.
#define HALF_CLOSE_KEEPALIVE_S 20
// How long a broken connection may take to deliver what came before the break.
#define FLUSH_MS 5000
#define FLUSH_POLL_S 0.01

// The peer's answer to our CONNECT, when it is a refusal; else CLOSE_NONE.
static enum close_reason refused_by_peer(const struct conn *conn) {
    const struct tunnel *tunnel = conn_tunnel(conn);
    if (conn->kind != CONN_OUTBOUND || tunnel == NULL) {
        return CLOSE_NONE;
    }
    switch (conn->far_leg.stream.status) {
    case 0:
    case 200:
        return CLOSE_NONE;
    case 400:
        return CLOSE_BAD_TARGET;
    case 401:
    case 403:
        return CLOSE_REFUSED_BY_PEER;
    case 503:
        return CLOSE_APP_UNREACHABLE;
    default:
        return CLOSE_PROTOCOL;
    }
}

static void watch_half_close(struct conn *conn) {
    if (ev_is_active(&conn->timer) || !relay_is_half_closed(&conn->relay)) {
        return;
    }
    conn->near->ops->keepalive(conn->near, HALF_CLOSE_KEEPALIVE_S, HALF_CLOSE_KEEPALIVE_S);
    conn->bytes_at_timer = conn->relay.up.bytes + conn->relay.down.bytes;
    conn->timer.repeat = HALF_CLOSE_IDLE_MS / 1e3;
    ev_timer_again(conn->worker->loop, &conn->timer);
}

void conn_on_relay_timer(struct conn *conn) {
    uint64_t bytes = conn->relay.up.bytes + conn->relay.down.bytes;
    if (bytes == conn->bytes_at_timer) {
        conn_end(conn, CLOSE_HALF_CLOSE_TIMEOUT);
        return;
    }
    conn->bytes_at_timer = bytes;
}

static enum conn_state start_flush(struct conn *conn, bool near_failed) {
    conn->near_failed = near_failed;
    conn->reason = near_failed ? conn->near->failure : conn->far->failure;
    conn->flush_until_ms = clock_mono_ms() + FLUSH_MS;
    struct leg *broken = near_failed ? conn->near : conn->far;
    broken->ops->arm(broken, false, false); // no event announces what it had said before
    return CONN_FLUSH;
}

// A stream that the peer did not process, before a byte of the application's was taken, costs
// nothing to open again elsewhere (RFC 9113 section 8.7).
static bool may_try_again(const struct conn *conn) {
    return conn_tunnel(conn) != NULL && conn->kind == CONN_OUTBOUND &&
           conn->far_leg.stream.refused && conn->relay.up.bytes == 0 && !conn->relay.up.finished;
}

static enum conn_state try_again(struct conn *conn) {
    conn->far->ops->reset(conn->far);
    conn->far = NULL;
    conn->near->ops->arm(conn->near, false, false); // what it has to say waits for the next tunnel
    conn->relay = (struct relay){0};
    return CONN_TUNNEL;
}

static void count_bytes(struct conn *conn, uint64_t sent, uint64_t received) {
    _Atomic uint64_t *metrics = conn->worker->counters.metrics;
    counter_add(&metrics[METRIC_BYTES_SENT], (int64_t)(conn_bytes_sent(conn) - sent));
    counter_add(&metrics[METRIC_BYTES_RECEIVED], (int64_t)(conn_bytes_received(conn) - received));
}

enum conn_state conn_step_relay(struct conn *conn) {
    enum close_reason refusal = refused_by_peer(conn);
    if (refusal != CLOSE_NONE) {
        conn_end(conn, refusal);
        return CONN_DEAD;
    }
    uint64_t sent = conn_bytes_sent(conn);
    uint64_t received = conn_bytes_received(conn);
    enum relay_status status = relay_step(&conn->relay, conn->near, conn->far);
    count_bytes(conn, sent, received);
    switch (status) {
    case RELAY_GOES_ON:
        return CONN_RELAY;
    case RELAY_DONE:
        conn_end(conn, CLOSE_DONE);
        return CONN_DEAD;
    case RELAY_NEAR_FAILED:
        return start_flush(conn, true);
    case RELAY_FAR_FAILED:
        return may_try_again(conn) ? try_again(conn) : start_flush(conn, false);
    }
    return CONN_DEAD;
}

// Whether a side has been reset while the other one kept us from reading it.
static void look_for_reset(struct conn *conn) {
    bool near = !conn->relay.down.finished && conn->near->ops->was_reset(conn->near);
    if (near || (!conn->relay.up.finished && conn->far->ops->was_reset(conn->far))) {
        conn->state = start_flush(conn, near);
        conn_step(conn);
    }
}

// What most connections never live to need costs them nothing.
void conn_tick(struct conn *conn) {
    if (conn->state == CONN_HTTP && conn->near->ops->was_reset(conn->near)) {
        conn_end(conn, conn->near->failure);
        return;
    }
    if (conn->state == CONN_HTTP) {
        conn_http_tick(conn);
    }
    if (conn->state != CONN_RELAY) {
        return;
    }
    if (!conn->probes) {
        conn->probes = true;
        conn->far->ops->keepalive(conn->far, SOCKET_KEEPALIVE_IDLE_S, SOCKET_KEEPALIVE_INTERVAL_S);
    }
    watch_half_close(conn);
    look_for_reset(conn);
}

// One side broke. What it had sent before goes to the other side, which then gets the RST.
enum conn_state conn_step_flush(struct conn *conn) {
    struct leg *broken = conn->near_failed ? conn->near : conn->far;
    struct leg *alive = conn->near_failed ? conn->far : conn->near;
    struct relay_direction *dir = conn->near_failed ? &conn->relay.up : &conn->relay.down;
    uint64_t sent = conn_bytes_sent(conn);
    uint64_t received = conn_bytes_received(conn);
    bool more = relay_deliver(dir, broken, alive);
    count_bytes(conn, sent, received);
    (void)broken->ops->flush(broken); // an alert of ours may say why
    bool gone = alive->ops->flush(alive) == LEG_FAILED;
    if (gone || (!more && alive->ops->unacknowledged(alive) == 0) ||
        clock_mono_ms() >= conn->flush_until_ms) {
        conn_end(conn, conn->reason);
        return CONN_DEAD;
    }
    broken->ops->arm(broken, false, false);
    alive->ops->arm(alive, false, more);
    if (!ev_is_active(&conn->timer) || conn->timed_state != CONN_FLUSH) {
        conn->timed_state = CONN_FLUSH;
        conn->timer.repeat = FLUSH_POLL_S;
        ev_timer_again(conn->worker->loop, &conn->timer);
    }
    return CONN_FLUSH;
}
