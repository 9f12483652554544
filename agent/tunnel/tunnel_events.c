// What HTTP/2 tells a tunnel.
#include "agent/tunnel/leg_stream.h"
#include "agent/tunnel/tunnel_emit.h"
#include "agent/tunnel/tunnel_internal.h"
#include "base/clock.h"

static bool on_emit(void *arg, struct span header, struct span payload) {
    return tunnel_emit(arg, header, payload);
}

static void on_ready(void *arg) {
    struct tunnel *tunnel = arg;
    if (tunnel->state != TUNNEL_SETTLING) {
        return;
    }
    tunnel->state = TUNNEL_READY;
    tunnel->last_pong_ms = tunnel->idle_since_ms = clock_mono_ms();
    tunnel->timer.repeat = TUNNEL_PING_MS / 1e3;
    ev_timer_again(tunnel->env->loop, &tunnel->timer);
    tunnel_count(tunnel, METRIC_TUNNELS_OPEN_OUTBOUND, METRIC_TUNNELS_OPEN_INBOUND, 1);
    if (tls_stream_is_resumed(tunnel->link.stream)) {
        tunnel_count(tunnel, METRIC_HANDSHAKE_OUT_RESUMED, METRIC_HANDSHAKE_IN_RESUMED, 1);
    } else {
        tunnel_count(tunnel, METRIC_HANDSHAKE_OUT_OK, METRIC_HANDSHAKE_IN_OK, 1);
    }
    tunnel->env->opened(tunnel->env->arg, tunnel);
    while (!list_is_empty(&tunnel->waiters)) {
        struct tunnel_waiter *waiter =
            LIST_ENTRY(tunnel->waiters.head.next, struct tunnel_waiter, node);
        list_remove(&waiter->node);
        waiter->done(waiter, tunnel, NULL);
    }
}

static void on_goaway(void *arg, uint32_t error UNUSED) {
    struct tunnel *tunnel = arg;
    if (tunnel->state == TUNNEL_READY) {
        tunnel->state = TUNNEL_RETIRING;
        tunnel_mark_dirty(tunnel);
    }
}

static void on_pong(void *arg) {
    struct tunnel *tunnel = arg;
    tunnel->last_pong_ms = clock_mono_ms();
    if (tunnel->direction == INBOUND && tunnel->state == TUNNEL_RETIRING) {
        h2_session_goaway(tunnel->session, H2_NO_ERROR); // what was on its way has arrived
        tunnel->said_goaway = true;
        tunnel_mark_dirty(tunnel);
    }
}

static void on_request(void *arg, struct h2_stream *stream, const struct h2_request *request) {
    struct tunnel *tunnel = arg;
    if (tunnel->state == TUNNEL_DEAD) { // cut by what came before it in the same bytes
        h2_stream_reset(stream, H2_REFUSED_STREAM);
        return;
    }
    tunnel->env->request(tunnel->env->arg, tunnel, stream, request);
}

const struct h2_events TUNNEL_EVENTS = {
    .emit = on_emit,
    .ready = on_ready,
    .goaway = on_goaway,
    .pong = on_pong,
    .request = on_request,
    .status = leg_stream_on_status,
    .data = leg_stream_on_data,
    .end = leg_stream_on_end,
    .writable = leg_stream_on_writable,
    .closed = leg_stream_on_closed,
};
