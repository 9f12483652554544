// How a tunnel ends: once, with every stream and waiter told.

#include "agent/tunnel/leg_stream.h"
#include "agent/tunnel/tunnel_emit.h"
#include "agent/tunnel/tunnel_internal.h"
#include "base/text.h"

static void count_end(struct tunnel *tunnel, const struct tunnel_failure *failure) {
    switch (tunnel->state) {
    case TUNNEL_READY:
    case TUNNEL_RETIRING:
        tunnel_count(tunnel, METRIC_TUNNELS_OPEN_OUTBOUND, METRIC_TUNNELS_OPEN_INBOUND, -1);
        break;
    case TUNNEL_HANDSHAKE:
    case TUNNEL_SETTLING:
        if (failure->reason == CLOSE_HANDSHAKE_TIMEOUT) {
            tunnel_count(tunnel, METRIC_HANDSHAKE_OUT_TIMEOUT, METRIC_HANDSHAKE_IN_TIMEOUT, 1);
        } else if (failure->reason == CLOSE_PEER_IDENTITY ||
                   failure->reason == CLOSE_PEER_NOT_ACCEPTED) {
            tunnel_count(tunnel, METRIC_HANDSHAKE_OUT_REFUSED, METRIC_HANDSHAKE_IN_REFUSED, 1);
        } else {
            tunnel_count(tunnel, METRIC_HANDSHAKE_OUT_FAILED, METRIC_HANDSHAKE_IN_FAILED, 1);
        }
        break;
    case TUNNEL_CONNECTING:
    case TUNNEL_DEAD:
        break;
    }
}

void tunnel_leave_handshaking(struct tunnel *tunnel) {
    if (list_is_linked(&tunnel->handshake_node)) {
        list_remove(&tunnel->handshake_node);
        tunnel->env->num_handshaking--;
    }
}

static void say_goodbye(struct tunnel *tunnel, const struct tunnel_failure *failure) {
    if (tunnel->session == NULL || tunnel->link.broken || tunnel->link.unsendable) {
        return;
    }
    h2_session_goaway(tunnel->session,
                      failure->reason == CLOSE_PROTOCOL ? H2_PROTOCOL_ERROR : H2_NO_ERROR);
    (void)h2_session_send(tunnel->session);
    tunnel_emit_seal_stage(tunnel->env);
    tls_link_close_notify(&tunnel->link);
    (void)tls_link_flush(&tunnel->link);
}

void tunnel_fail(struct tunnel *tunnel, const struct tunnel_failure *failure) {
    if (tunnel->state == TUNNEL_DEAD) {
        return;
    }
    struct tunnel_env *env = tunnel->env;
    count_end(tunnel, failure);
    tunnel->state = TUNNEL_DEAD;
    tunnel_leave_handshaking(tunnel);
    LIST_FOR_EACH(&tunnel->legs, it) {
        struct leg_stream *leg = LIST_ENTRY(it, struct leg_stream, node);
        leg_stream_on_lost(leg,
                           failure->reason == CLOSE_DONE ? CLOSE_TUNNEL_LOST : failure->reason);
        if (!list_is_linked(&leg->touched)) {
            list_append(&tunnel->touched, &leg->touched);
        }
    }
    say_goodbye(tunnel, failure);
    ev_io_stop(env->loop, &tunnel->io);
    ev_timer_stop(env->loop, &tunnel->timer);
    if (tunnel->link.stream != NULL) {
        tls_link_close(&tunnel->link);
    }
    list_remove(&tunnel->pool_node);
    list_remove(&tunnel->node);
    list_append(&env->dead, &tunnel->node);
    leg_stream_wake_touched(tunnel);
    while (!list_is_empty(&tunnel->waiters)) {
        struct tunnel_waiter *waiter =
            LIST_ENTRY(tunnel->waiters.head.next, struct tunnel_waiter, node);
        list_remove(&waiter->node);
        waiter->done(waiter, tunnel, failure);
    }
    env->gone(env->arg, tunnel, failure);
}

void tunnel_fail_why(struct tunnel *tunnel, enum close_reason reason, const char *detail) {
    struct tunnel_failure failure = {.reason = reason};
    text_copy(failure.detail, sizeof(failure.detail), detail);
    tunnel_fail(tunnel, &failure);
}
