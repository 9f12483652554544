// Connections to the application that an HTTP edge asks for: dialled, given TLS where the port says
// so, and pumped.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/net/socket.h"
#include "agent/worker/conn_http.h"
#include "agent/worker/conn_internal.h"
#include "agent/worker/worker.h"
#include "base/clock.h"

#define CONNECT_MS 10000

static void on_dial_io(struct ev_loop *loop UNUSED, ev_io *io, int events UNUSED) {
    conn_step(io->data);
}

static bool take_descriptor(struct conn *conn, struct app_link *link) {
    if (conn->http->has_spare) {
        conn->http->has_spare = false;
        return true;
    }
    link->took_fd = fd_budget_take(&conn->worker->shared->fds, 1);
    return link->took_fd;
}

static void give_descriptor(struct app_link *link) {
    if (link->took_fd) {
        fd_budget_give(&link->conn->worker->shared->fds, 1);
    } else {
        link->conn->http->has_spare = true;
    }
}

bool conn_app_dial(void *arg, struct http_back *back) {
    struct conn *conn = arg;
    struct app_link *link = calloc(1, sizeof(*link));
    if (link == NULL) {
        return false;
    }
    link->conn = conn;
    link->back = back;
    link->dialling_fd = -1;
    link->since = clock_mono_ms();
    if (!take_descriptor(conn, link)) {
        free(link);
        return false;
    }
    if (socket_connect(&conn->http->to, &link->dialling_fd, &link->errnum) != SOCKET_OK) {
        link->dialling_fd = -1; // the step tells: not from inside
        link->errnum = link->errnum == 0 ? EMFILE : link->errnum;
    }
    ev_init(&link->dial_io, on_dial_io);
    link->dial_io.data = conn;
    http_back_set_arg(back, link);
    list_append(&conn->http->links, &link->node);
    conn->via = conn->http->to;
    return true;
}

void conn_app_drop(void *arg UNUSED, struct http_back *back, bool clean) {
    struct app_link *link = http_back_arg(back);
    link->back = NULL; // its leg may be on the stack: let go at the end of the step
    link->clean = clean;
}

void conn_app_let_go(struct app_link *link) {
    if (link->leg != NULL) {
        (link->clean ? link->leg->ops->close : link->leg->ops->reset)(link->leg);
    }
    ev_io_stop(link->conn->worker->loop, &link->dial_io);
    socket_close(link->dialling_fd);
    give_descriptor(link);
    list_remove(&link->node);
    free(link);
}

static void lose(struct app_link *link, enum http_reason reason, const char *what,
                 const char *why) {
    char place[NETADDR_TEXT_MAX];
    char text[HTTP_WHY_MAX];
    snprintf(text, sizeof(text), "%s at %s: %s", what, netaddr_format(&link->conn->http->to, place),
             why);
    if (link->back != NULL) {
        http_back_lost(link->back, reason, text);
    }
}

// ---- opening ------------------------------------------------------------------------------------

static void start_tls(struct app_link *link, int fd) {
    struct conn *conn = link->conn;
    struct span alpn = span_of_text(http_back_is_http2(link->back) ? "h2" : "http/1.1");
    struct tls_stream *stream = conn_app_tls(conn, alpn);
    if (stream == NULL) {
        socket_close(fd);
        lose(link, HTTP_REASON_NO_MEMORY, "TLS with the application", "memory is short");
        return;
    }
    link->leg = conn_leg_tls(conn, &link->as.tls, stream, fd);
    link->handshaking = true;
}

static void connected(struct app_link *link) {
    struct conn *conn = link->conn;
    int fd = link->dialling_fd;
    const struct edge_port *port = conn_edge_port(conn);
    link->dialling_fd = -1;
    ev_io_stop(conn->worker->loop, &link->dial_io);
    if (!conn_greet_application(conn, fd)) {
        socket_close(fd);
        lose(link, HTTP_REASON_APP_UNREACHABLE, "the application",
             "it cannot be told who the client is");
        return;
    }
    if (port->app.ssl != NULL) {
        start_tls(link, fd);
        return;
    }
    link->leg = conn_leg_socket(conn, &link->as.socket, fd, true);
}

static bool step_dial(struct app_link *link) {
    int errnum = link->dialling_fd < 0 ? link->errnum : socket_connect_error(link->dialling_fd);
    if (errnum == EINPROGRESS) {
        return false;
    }
    if (errnum != 0) {
        lose(link, HTTP_REASON_APP_UNREACHABLE, "cannot connect to the application",
             strerror(errnum));
        return true;
    }
    connected(link);
    return true;
}

static bool step_handshake(struct app_link *link) {
    struct leg_tls *leg = &link->as.tls;
    switch (leg_tls_handshake(leg)) {
    case TLS_AGAIN:
        return false;
    case TLS_OK:
        link->handshaking = false;
        return true;
    default:
        break;
    }
    const char *why = tls_stream_error(leg->link.stream);
    lose(link, HTTP_REASON_APP_UNREACHABLE, "TLS with the application",
         why[0] != '\0' ? why : "it closed during the handshake");
    return true;
}

// ---- moving -------------------------------------------------------------------------------------

static bool take_offer(struct app_link *link, const struct leg_runs *offer) {
    size_t taken = 0;
    for (int i = 0; i < offer->num && link->back != NULL; i++) {
        size_t len = offer->run[i].iov_len;
        size_t n = http_back_receive(link->back, span_of(offer->run[i].iov_base, len));
        taken += n;
        if (n < len) {
            break;
        }
    }
    link->conn->http->moved += taken;
    if (!link->leg->ops->consume(link->leg, offer, taken)) {
        lose(link, HTTP_REASON_NO_MEMORY, "the application", "memory is short");
    }
    return taken > 0;
}

static bool take_from_application(struct app_link *link) {
    struct leg_runs offer;
    if (link->back == NULL || link->ended || !http_back_wants_input(link->back)) {
        return false;
    }
    switch (link->leg->ops->peek(link->leg, LEG_ROOM_UNKNOWN, &offer)) {
    case LEG_OK:
        return take_offer(link, &offer);
    case LEG_AGAIN:
        return false;
    case LEG_END:
        link->ended = true;
        http_back_end(link->back);
        return true;
    case LEG_FAILED:
        break;
    }
    lose(link, HTTP_REASON_APP_ANSWER, "the application", "it reset the connection");
    return true;
}

static bool give_to_application(struct app_link *link) {
    if (link->back == NULL) {
        return false;
    }
    struct span out = http_back_output(link->back);
    size_t taken = 0;
    enum leg_status status = conn_http_write(link->conn, link->leg, out, &taken);
    link->blocked = status == LEG_AGAIN && taken < out.len;
    if (status == LEG_FAILED) {
        lose(link, HTTP_REASON_APP_ANSWER, "the application", "it reset the connection");
        return true;
    }
    if (taken > 0) {
        http_back_sent(link->back, taken);
    } else if (link->back != NULL && out.len == 0 && http_back_wants_finish(link->back) &&
               !link->finished) {
        link->finished = link->leg->ops->finish(link->leg) == LEG_OK;
    }
    return taken > 0;
}

bool conn_app_step(struct app_link *link) {
    bool moved;
    if (link->back == NULL) {
        return false;
    }
    if (link->leg == NULL) {
        moved = step_dial(link);
    } else if (link->handshaking) {
        moved = step_handshake(link);
    } else {
        moved = take_from_application(link);
        moved = give_to_application(link) || moved;
        (void)link->leg->ops->flush(link->leg); // a failure shows at the next peek
    }
    link->since = moved ? clock_mono_ms() : link->since;
    return moved;
}

void conn_app_arm(struct app_link *link) {
    struct ev_loop *loop = link->conn->worker->loop;
    if (link->leg == NULL) {
        if (!ev_is_active(&link->dial_io) && link->dialling_fd >= 0) {
            ev_io_set(&link->dial_io, link->dialling_fd, EV_WRITE);
            ev_io_start(loop, &link->dial_io);
        }
    } else if (!link->handshaking) {
        bool reads = !link->ended && http_back_wants_input(link->back);
        link->leg->ops->arm(link->leg, reads, link->blocked);
    }
}

void conn_app_tick(struct app_link *link) {
    if (link->leg != NULL && !link->probes) {
        link->probes = true;
        link->leg->ops->keepalive(link->leg, SOCKET_KEEPALIVE_IDLE_S, SOCKET_KEEPALIVE_INTERVAL_S);
    }
}

int64_t conn_app_deadline(const struct app_link *link) {
    const struct conn_http *http = link->conn->http;
    if (link->leg == NULL || link->handshaking) {
        return link->since + CONNECT_MS;
    }
    if (link->blocked) {
        return link->since + http->send_timeout_ms;
    }
    bool waits = http_back_is_waiting(link->back) || http_back_is_starved(link->back);
    return waits ? link->since + http->read_timeout_ms : 0;
}

void conn_app_on_deadline(struct app_link *link) {
    bool is_open = link->leg != NULL && !link->handshaking && !link->blocked;
    if (is_open && http_back_is_starved(link->back)) {
        lose(link, HTTP_REASON_CLIENT_TIMEOUT, "a request to the application",
             "the client sent nothing of its body for readTimeout");
        return;
    }
    if (is_open && http_back_is_held(link->back)) {
        lose(link, HTTP_REASON_CLIENT_TIMEOUT, "an answer of the application",
             "the client took nothing of it for readTimeout");
        return;
    }
    lose(link, HTTP_REASON_APP_TIMEOUT, "the application",
         link->leg == NULL || link->handshaking ? "it took too long to connect"
         : link->blocked                        ? "it took nothing for sendTimeout"
                                                : "it said nothing for readTimeout");
}
