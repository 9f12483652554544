#include "agent/tunnel/tunnel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/net/socket.h"
#include "agent/tunnel/leg_stream.h"
#include "agent/tunnel/tunnel_emit.h"
#include "agent/tunnel/tunnel_internal.h"
#include "base/clock.h"
#include "base/text.h"

static const char *state_name(enum tunnel_state state) {
    static const char *const NAMES[] = {
#define TUNNEL_STATE(id, name) [id] = name,
#include "agent/tunnel/tunnel_state.def"
#undef TUNNEL_STATE
    };
    return NAMES[state];
}

void tunnel_env_init(struct tunnel_env *env) {
    list_init(&env->tunnels);
    list_init(&env->dirty);
    list_init(&env->settling);
    list_init(&env->dead);
    list_init(&env->handshaking);
    list_init(&env->owed);
    ev_timer_init(&env->answer, leg_stream_on_answer_time, TUNNEL_ANSWER_MS / 1e3, 0);
    env->answer.data = env;
}

void tunnel_count(struct tunnel *tunnel, enum metric outbound, enum metric inbound, int64_t by) {
    enum metric metric = tunnel->direction == OUTBOUND ? outbound : inbound;
    counter_add(&tunnel->env->counters->metrics[metric], by);
}

static void destroy(struct tunnel *tunnel) {
    list_remove(&tunnel->dirty_node);
    list_remove(&tunnel->settle_node);
    tunnel_emit_forget(tunnel);
    h2_session_free(take(&tunnel->session));
    if (tunnel->link.stream != NULL) {
        tls_link_fini(&tunnel->link, false);
    }
    socket_close(tunnel->connecting_fd);
    buf_fini(&tunnel->overflow);
    tls_context_unref(tunnel->context);
    config_unref(tunnel->config);
    atomic_fetch_add_explicit(tunnel->env->fds_left, 1, memory_order_relaxed);
    free(tunnel);
}

static struct tunnel *new_tunnel(struct tunnel_env *env, const struct netaddr *addr,
                                 struct tls_context *context, struct config *config) {
    struct tunnel *tunnel = calloc(1, sizeof(*tunnel));
    if (tunnel == NULL) {
        return NULL;
    }
    atomic_fetch_sub_explicit(env->fds_left, 1, memory_order_relaxed);
    tunnel->env = env;
    tunnel->id = env->next_id;
    env->next_id += env->id_step;
    tunnel->peer_addr = *addr;
    tunnel->context = tls_context_ref(context);
    tunnel->config = config_ref(config);
    tunnel->connecting_fd = tunnel->link.fd = -1;
    tunnel->opened_at_ms = clock_wall_ms();
    list_init(&tunnel->legs);
    list_init(&tunnel->touched);
    list_init(&tunnel->waiters);
    ev_init(&tunnel->io, tunnel_on_io);
    tunnel->io.data = tunnel;
    ev_init(&tunnel->timer, tunnel_on_timer);
    tunnel->timer.data = tunnel;
    list_append(&env->tunnels, &tunnel->node);
    return tunnel;
}

bool tunnel_means_unreachable(int errnum) {
    return errnum == ECONNREFUSED || errnum == ETIMEDOUT || errnum == EHOSTUNREACH ||
           errnum == ENETUNREACH;
}

struct tunnel *tunnel_connect(struct tunnel_env *env, const struct tunnel_target *target,
                              struct tunnel_failure *failure) {
    int fd = -1;
    int errnum = 0;
    char text[NETADDR_TEXT_MAX];
    *failure = (struct tunnel_failure){.reason = CLOSE_NO_MEMORY};
    switch (socket_connect(&target->addr, &fd, &errnum)) {
    case SOCKET_OK:
        break;
    case SOCKET_EXHAUSTED:
        failure->reason = CLOSE_LIMIT;
        snprintf(failure->detail, sizeof(failure->detail), "no descriptor for a tunnel to %s",
                 netaddr_format(&target->addr, text));
        return NULL;
    default:
        failure->reason = CLOSE_TUNNEL_UNREACHABLE;
        failure->unreachable = tunnel_means_unreachable(errnum);
        snprintf(failure->detail, sizeof(failure->detail),
                 "cannot connect to the tunnel port %s: %s", netaddr_format(&target->addr, text),
                 strerror(errnum));
        return NULL;
    }
    struct tunnel *tunnel = new_tunnel(env, &target->addr, target->context, target->config);
    if (tunnel == NULL) {
        socket_close(fd);
        return NULL;
    }
    tunnel->direction = OUTBOUND;
    tunnel->state = TUNNEL_CONNECTING;
    tunnel->peers = target->peers;
    tunnel->connecting_fd = fd;
    tunnel->timer.repeat = TUNNEL_CONNECT_MS / 1e3;
    ev_timer_again(env->loop, &tunnel->timer);
    tunnel_arm(tunnel);
    return tunnel;
}

struct tunnel *tunnel_accept(struct tunnel_env *env, int fd, const struct netaddr *peer,
                             struct tls_context *context, struct config *config) {
    struct tunnel *tunnel = new_tunnel(env, peer, context, config);
    if (tunnel == NULL) {
        socket_close(fd);
        return NULL;
    }
    tunnel->direction = INBOUND;
    tunnel->connecting_fd = fd;
    if (!tunnel_start_tls(tunnel)) {
        list_remove(&tunnel->node);
        destroy(tunnel);
        return NULL;
    }
    list_append(&env->handshaking, &tunnel->handshake_node);
    env->num_handshaking++;
    tunnel_arm(tunnel);
    return tunnel;
}

void tunnel_wait(struct tunnel *tunnel, struct tunnel_waiter *waiter) {
    list_append(&tunnel->waiters, &waiter->node);
}

void tunnel_unwait(struct tunnel_waiter *waiter) {
    list_remove(&waiter->node);
}

const struct peer *tunnel_peer(const struct tunnel *tunnel) {
    return tunnel->session == NULL ? NULL : tls_stream_peer(tunnel->link.stream);
}

int64_t tunnel_not_after(const struct tunnel *tunnel) {
    int64_t own = svid_not_after(identity_svid(tls_context_identity(tunnel->context)));
    const struct peer *peer = tunnel_peer(tunnel);
    return peer != NULL && peer->not_after < own ? peer->not_after : own;
}

bool tunnel_is_usable(const struct tunnel *tunnel, int64_t now_s) {
    return tunnel->state == TUNNEL_READY && now_s < tunnel_not_after(tunnel) &&
           h2_session_has_room(tunnel->session);
}

bool tunnel_is_congested(const struct tunnel *tunnel) {
    return tunnel->full_since_ms != 0 && !list_is_empty(&tunnel->legs) &&
           clock_mono_ms() - tunnel->full_since_ms >= TUNNEL_CONGESTED_MS;
}

size_t tunnel_num_queued(const struct tunnel *tunnel) {
    return buf_span(&tunnel->overflow).len + tls_stream_backlog(tunnel->link.stream).len;
}

void tunnel_retire(struct tunnel *tunnel) {
    if (tunnel->state != TUNNEL_READY) {
        return;
    }
    tunnel->state = TUNNEL_RETIRING;
    if (tunnel->direction == INBOUND) {
        h2_session_shutdown_notice(tunnel->session);
        h2_session_ping(tunnel->session); // its answer says that nothing more is on its way
    }
    tunnel_mark_dirty(tunnel);
}

void tunnel_mark_dirty(struct tunnel *tunnel) {
    if (tunnel->state != TUNNEL_DEAD && !list_is_linked(&tunnel->dirty_node)) {
        list_append(&tunnel->env->dirty, &tunnel->dirty_node);
    }
}

// A retiring tunnel without streams ends: a client's at once, a server's when the peer knows.
bool tunnel_is_finished(const struct tunnel *tunnel) {
    return tunnel->state == TUNNEL_RETIRING && list_is_empty(&tunnel->legs) &&
           h2_session_num_streams(tunnel->session) == 0 &&
           (tunnel->direction == OUTBOUND || tunnel->said_goaway);
}

bool tunnel_is_delivered(const struct tunnel *tunnel) {
    return tunnel->state < TUNNEL_READY || tunnel->state == TUNNEL_DEAD ||
           (buf_span(&tunnel->overflow).len == 0 && !tls_link_wants_write(&tunnel->link) &&
            socket_unacknowledged(tunnel->link.fd) == 0);
}

static void end_turn_of(struct tunnel *tunnel) {
    list_remove(&tunnel->dirty_node);
    if (!list_is_linked(&tunnel->settle_node)) {
        list_append(&tunnel->env->settling, &tunnel->settle_node);
    }
    leg_stream_wake_touched(tunnel);
    if (tunnel->state == TUNNEL_DEAD || tunnel->session == NULL) {
        return;
    }
    (void)tunnel_emit_seal_overflow(tunnel); // what is still too much waits for the next room
    if (!h2_session_send(tunnel->session)) {
        tunnel_fail_why(tunnel, CLOSE_PROTOCOL, h2_session_error(tunnel->session));
    }
}

// The last streams' bytes may still be on their way, and what the peer says meanwhile would be
// answered with RST by a closed socket, which takes them with it.
static void finish(struct tunnel *tunnel) {
    if (tunnel_is_delivered(tunnel)) {
        tunnel_fail_why(tunnel, CLOSE_DONE, "retired");
        return;
    }
    tunnel->timer.repeat = TUNNEL_DELIVERY_POLL_MS / 1e3;
    ev_timer_again(tunnel->env->loop, &tunnel->timer);
}

// After the flush. Whoever found no room is woken when there is room again; the flush may have made
// it without the socket ever having been full, and then no event would come.
static void settle(struct tunnel *tunnel) {
    if (tunnel->link.broken) {
        tunnel_fail_why(tunnel, CLOSE_TUNNEL_LOST,
                        "the connection broke, or the peer does not read");
        return;
    }
    // Nothing more can be sent on one that is unsendable: reading it finds its end.
    bool has_room =
        tunnel->session != NULL && !tunnel->link.unsendable && !tls_link_wants_write(&tunnel->link);
    if (has_room) {
        tunnel->full_since_ms = 0;
    } else if (tunnel->full_since_ms == 0) {
        tunnel->full_since_ms = clock_mono_ms();
    }
    if (has_room && tunnel->refused) {
        tunnel->refused = false;
        leg_stream_wake_full(tunnel);
        tunnel_mark_dirty(tunnel);
    }
    if (has_room && buf_span(&tunnel->overflow).len > 0) {
        tunnel_mark_dirty(tunnel);
    }
    if (tunnel_is_finished(tunnel)) {
        finish(tunnel);
    }
    if (tunnel->state != TUNNEL_DEAD) {
        tunnel_arm(tunnel);
    }
}

void tunnel_env_end_turn(struct tunnel_env *env) {
    leg_stream_answer_early(env);
    // A wake may dirty a tunnel again; a few rounds settle everything that does not need I/O.
    for (int round = 0; round < 8 && !list_is_empty(&env->dirty); round++) {
        LIST_FOR_EACH(&env->dirty, it) {
            end_turn_of(LIST_ENTRY(it, struct tunnel, dirty_node));
        }
    }
    tunnel_emit_seal_stage(env);
    tls_turn_flush(env->turn);
    LIST_FOR_EACH(&env->settling, it) {
        struct tunnel *tunnel = LIST_ENTRY(it, struct tunnel, settle_node);
        list_remove(&tunnel->settle_node);
        if (tunnel->state != TUNNEL_DEAD) {
            settle(tunnel);
        }
    }
    // A broken connection may still be delivering what came before: its leg names its peer until
    // then.
    LIST_FOR_EACH(&env->dead, it) {
        struct tunnel *tunnel = LIST_ENTRY(it, struct tunnel, node);
        if (list_is_empty(&tunnel->legs)) {
            list_remove(&tunnel->node);
            destroy(tunnel);
        }
    }
}

static void copy_id(char out[256], const struct spiffe_id *id) {
    text_copy(out, 256, id->text);
}

void tunnel_render(const struct tunnel *tunnel, struct tunnel_view *out) {
    out->id = tunnel->id;
    out->direction = tunnel->direction;
    out->state = state_name(tunnel->state);
    out->peer = tunnel->peer_addr;
    const struct identity *identity = tls_context_identity(tunnel->context);
    copy_id(out->own_id, svid_id(identity_svid(identity)));
    text_copy(out->own_serial, sizeof(out->own_serial), svid_serial(identity_svid(identity)));
    out->identity_generation = identity_generation(identity);
    out->streams_total = tunnel->streams_total;
    out->opened_at_ms = tunnel->opened_at_ms;
    out->tls_version = out->cipher = out->group = out->aead = "";
    const struct peer *peer = tunnel_peer(tunnel);
    if (peer == NULL) {
        return;
    }
    copy_id(out->peer_id, &peer->id);
    text_copy(out->peer_serial, sizeof(out->peer_serial), peer->serial);
    out->peer_not_after = peer->not_after;
    out->streams_open = (uint32_t)h2_session_num_streams(tunnel->session);
    out->tls_version = tls_stream_version(tunnel->link.stream);
    out->cipher = tls_stream_cipher(tunnel->link.stream);
    out->group = tls_stream_group(tunnel->link.stream);
    out->aead = tls_stream_aead(tunnel->link.stream);
}
