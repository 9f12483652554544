// One function decides what happens next: step, after every event.
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "agent/net/socket.h"
#include "agent/policy/policy.h"
#include "agent/tunnel/leg_stream.h"
#include "agent/tunnel/tunnel_internal.h"
#include "base/clock.h"

#include "base/text.h"

// Bytes received before other connections get their turn.
#define BYTES_PER_TURN (1024 * 1024)

static void fail_tls(struct tunnel *tunnel) {
    const struct tls_stream *stream = tunnel->link.stream;
    struct tunnel_failure failure = {.reason = CLOSE_TLS_FAILED};
    text_copy(failure.detail, sizeof(failure.detail), tls_stream_error(stream));
    enum verify_result refusal = tls_stream_refusal(stream);
    if (refusal != VERIFY_OK) {
        failure.reason = CLOSE_PEER_IDENTITY;
        counter_add(&tunnel->env->counters->refused[tunnel->direction][refusal], 1);
    } else if (tls_stream_was_not_accepted(stream)) {
        failure.reason = CLOSE_PEER_NOT_ACCEPTED;
    } else if (tunnel->link.broken || failure.detail[0] == '\0') {
        snprintf(failure.detail, sizeof(failure.detail),
                 "the peer closed the connection during the TLS handshake");
    }
    tunnel_fail(tunnel, &failure);
}

void tunnel_arm(struct tunnel *tunnel) {
    int events = EV_READ;
    if (tunnel->state == TUNNEL_CONNECTING) {
        events = EV_WRITE;
    } else if (tls_link_wants_write(&tunnel->link)) {
        events = EV_READ | EV_WRITE;
    }
    int fd = tunnel->state == TUNNEL_CONNECTING ? tunnel->connecting_fd : tunnel->link.fd;
    if (ev_is_active(&tunnel->io) && (tunnel->io.events & (EV_READ | EV_WRITE)) == events) {
        return;
    }
    ev_io_stop(tunnel->env->loop, &tunnel->io);
    ev_io_set(&tunnel->io, fd, events);
    ev_io_start(tunnel->env->loop, &tunnel->io);
}

static bool accept_peer(void *arg, const struct peer *peer) {
    const struct tunnel *tunnel = arg;
    struct span own = identity_trust_domain(tls_context_identity(tunnel->context));
    return policy_peer_is_acceptable(tunnel->peers, own, &peer->id);
}

// What of the last read HTTP/2 has not seen yet, and what streams only point to, is copied.
static void on_displaced(struct tls_link *link) {
    struct tunnel *tunnel =
        (struct tunnel *)(void *)((uint8_t *)link - offsetof(struct tunnel, link));
    struct tunnel_reading *reading = tunnel->reading;
    if (reading == NULL) {
        return;
    }
    for (; reading->next < reading->runs.num; reading->next++) {
        const struct iovec *run = &reading->runs.run[reading->next];
        if (!buf_append(&reading->saved, run->iov_base, run->iov_len)) {
            link->broken = true;
        }
    }
    leg_stream_keep_fresh(tunnel);
}

// Puts TLS on a connected socket. False when memory is short.
bool tunnel_start_tls(struct tunnel *tunnel) {
    bool client = tunnel->direction == OUTBOUND;
    struct tls_expectation expect = {.accept = client ? accept_peer : NULL, .arg = tunnel};
    if (client) {
        expect.addr = &tunnel->peer_addr;
        expect.peers = tunnel->peers->items;
        expect.num_peers = tunnel->peers->num;
    }
    struct tls_stream *stream =
        tls_stream_new(tunnel->context, client ? TLS_MESH_CLIENT : TLS_MESH_SERVER, &expect);
    if (stream == NULL) {
        return false;
    }
    int fd = tunnel->connecting_fd;
    tunnel->connecting_fd = -1;
    socket_user_timeout(fd, TUNNEL_DEAD_MS);
    socket_keepalive(fd, 30, 10, 3);
    tls_link_init(&tunnel->link, tunnel->env->turn, stream, fd);
    tunnel->link.displaced = on_displaced;
    tunnel->state = TUNNEL_HANDSHAKE;
    tunnel->timer.repeat = TUNNEL_HANDSHAKE_MS / 1e3;
    ev_timer_again(tunnel->env->loop, &tunnel->timer);
    return true;
}

static void step_connecting(struct tunnel *tunnel) {
    int errnum = socket_connect_error(tunnel->connecting_fd);
    if (errnum == EINPROGRESS) {
        return;
    }
    if (errnum != 0) {
        char text[NETADDR_TEXT_MAX];
        struct tunnel_failure failure = {.reason = CLOSE_TUNNEL_UNREACHABLE,
                                         .unreachable = tunnel_means_unreachable(errnum)};
        snprintf(failure.detail, sizeof(failure.detail), "cannot connect to the tunnel port %s: %s",
                 netaddr_format(&tunnel->peer_addr, text), strerror(errnum));
        tunnel_fail(tunnel, &failure);
        return;
    }
    if (!tunnel_start_tls(tunnel)) {
        tunnel_fail_why(tunnel, CLOSE_NO_MEMORY, "memory is short");
    }
}

static void step_handshake(struct tunnel *tunnel) {
    switch (tls_link_handshake(&tunnel->link)) {
    case TLS_AGAIN:
        return;
    case TLS_OK:
        break;
    default:
        fail_tls(tunnel);
        return;
    }
    tunnel_leave_handshaking(tunnel);
    tunnel->verified_at_s = clock_wall_s();
    tunnel->session = h2_session_new(tunnel->direction == INBOUND, &TUNNEL_EVENTS, tunnel);
    if (tunnel->session == NULL) {
        tunnel_fail_why(tunnel, CLOSE_NO_MEMORY, "memory is short");
        return;
    }
    tunnel->state = TUNNEL_SETTLING;
    tunnel_mark_dirty(tunnel);
}

static void step_ended(struct tunnel *tunnel, enum tls_status status) {
    if (tunnel->state == TUNNEL_SETTLING) {
        fail_tls(tunnel); // a TLS 1.3 client hears only now that the server refused it
    } else if (status == TLS_EOF) {
        tunnel_fail_why(tunnel, CLOSE_DONE, "the peer closed the tunnel");
    } else if (status == TLS_TRUNCATED) {
        tunnel_fail_why(tunnel, CLOSE_TUNNEL_LOST,
                        "the peer ended the tunnel without close_notify");
    } else {
        const char *why = tls_stream_error(tunnel->link.stream);
        tunnel_fail_why(tunnel, CLOSE_TUNNEL_LOST,
                        why[0] == '\0' ? "the connection to the peer broke" : why);
    }
}

// Gives HTTP/2 what was read, and the streams what came of it. False: the session is broken.
static bool take_runs(struct tunnel *tunnel, struct tunnel_reading *reading) {
    bool good = true;
    tunnel->reading = reading;
    while (good && reading->next < reading->runs.num) {
        const struct iovec *run = &reading->runs.run[reading->next++];
        good = h2_session_receive(tunnel->session, span_of(run->iov_base, run->iov_len));
    }
    if (good && reading->saved.len > 0 && tunnel->state != TUNNEL_DEAD) {
        good = h2_session_receive(tunnel->session, buf_span(&reading->saved));
    }
    leg_stream_wake_touched(tunnel);
    tunnel->reading = NULL;
    buf_fini(&reading->saved);
    return good;
}

static void step_open(struct tunnel *tunnel) {
    for (size_t total = 0; tunnel->state != TUNNEL_DEAD;) {
        if (total >= BYTES_PER_TURN) {
            tls_link_enough(&tunnel->link); // others wait; but no event announces what has come
        }
        struct tunnel_reading reading = {.next = 0};
        enum tls_status status = tls_link_read_runs(&tunnel->link, &reading.runs);
        if (status == TLS_AGAIN) {
            return;
        }
        if (status != TLS_OK) {
            step_ended(tunnel, status);
            return;
        }
        total += reading.runs.len;
        bool good = take_runs(tunnel, &reading);
        tunnel_mark_dirty(tunnel);
        if (!good && tunnel->state != TUNNEL_DEAD) {
            tunnel_fail_why(tunnel, CLOSE_PROTOCOL, h2_session_error(tunnel->session));
        }
    }
}

static void step(struct tunnel *tunnel) {
    enum tunnel_state before;
    do {
        before = tunnel->state;
        switch (tunnel->state) {
        case TUNNEL_CONNECTING:
            step_connecting(tunnel);
            break;
        case TUNNEL_HANDSHAKE:
            step_handshake(tunnel);
            break;
        case TUNNEL_SETTLING:
        case TUNNEL_READY:
        case TUNNEL_RETIRING:
            step_open(tunnel);
            break;
        case TUNNEL_DEAD:
            return;
        }
    } while (tunnel->state != before && tunnel->state != TUNNEL_RETIRING);
    if (tunnel->state != TUNNEL_DEAD) {
        tunnel_arm(tunnel);
    }
}

void tunnel_on_io(struct ev_loop *loop UNUSED, ev_io *io, int events) {
    struct tunnel *tunnel = io->data;
    if (tunnel->state > TUNNEL_CONNECTING && tunnel->state != TUNNEL_DEAD) {
        tls_link_wake(&tunnel->link);
        if ((events & EV_WRITE) != 0 && tls_link_flush(&tunnel->link) == TLS_OK) {
            tunnel_mark_dirty(tunnel); // the end of the turn wakes those who found no room
        }
    }
    step(tunnel);
}

// The client ends an idle tunnel, because only it knows that no stream is on its way; a server
// waits longer, for clients that never do.
static int64_t idle_limit_ms(const struct tunnel *tunnel) {
    return tunnel->direction == OUTBOUND ? TUNNEL_IDLE_MS : 2 * TUNNEL_IDLE_MS;
}

static void on_ping_time(struct tunnel *tunnel) {
    int64_t now = clock_mono_ms();
    if (tunnel_is_finished(tunnel)) {
        tunnel_mark_dirty(tunnel); // TCP_USER_TIMEOUT bounds what is never acknowledged
        return;
    }
    if (now - tunnel->last_pong_ms > TUNNEL_DEAD_MS) {
        tunnel_fail_why(tunnel, CLOSE_TUNNEL_LOST, "the peer stopped answering pings");
        return;
    }
    if (!list_is_empty(&tunnel->legs)) {
        tunnel->idle_since_ms = 0;
    } else if (tunnel->idle_since_ms == 0) {
        tunnel->idle_since_ms = now;
    } else if (now - tunnel->idle_since_ms >= idle_limit_ms(tunnel)) {
        tunnel_fail_why(tunnel, CLOSE_DONE, "idle");
        return;
    }
    h2_session_ping(tunnel->session);
    tunnel_mark_dirty(tunnel);
}

void tunnel_on_timer(struct ev_loop *loop UNUSED, ev_timer *timer, int events UNUSED) {
    struct tunnel *tunnel = timer->data;
    char text[NETADDR_TEXT_MAX];
    struct tunnel_failure failure = {.reason = CLOSE_HANDSHAKE_TIMEOUT};
    netaddr_format(&tunnel->peer_addr, text);
    switch (tunnel->state) {
    case TUNNEL_CONNECTING:
        failure.reason = CLOSE_TUNNEL_UNREACHABLE;
        failure.unreachable = true;
        snprintf(failure.detail, sizeof(failure.detail),
                 "no answer from the tunnel port %s within %d ms; a network policy may block it",
                 text, TUNNEL_CONNECT_MS);
        tunnel_fail(tunnel, &failure);
        break;
    case TUNNEL_HANDSHAKE:
    case TUNNEL_SETTLING:
        snprintf(failure.detail, sizeof(failure.detail),
                 "the TLS handshake with %s was not done within %d s", text,
                 TUNNEL_HANDSHAKE_MS / 1000);
        tunnel_fail(tunnel, &failure);
        break;
    default:
        on_ping_time(tunnel);
        break;
    }
}
