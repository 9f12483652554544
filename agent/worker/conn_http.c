// An inbound connection to an `http` port: the client's bytes go into an http_edge and its output
// back, and the connections to the application that it asks for are made and pumped (conn_app.c).
#include "agent/worker/conn_http.h"

#include <stdlib.h>
#include <string.h>

#include "agent/http/client_headers.h"
#include "agent/relay/relay.h"
#include "agent/worker/conn_internal.h"
#include "agent/worker/worker.h"
#include "base/clock.h"

#define REQUEST_TRAVELS_MS 1000

static void refused(void *arg, enum http_reason reason, int status, const char *why) {
    conn_report_request(arg, reason, status, why);
}

static const struct http_edge_env ENV = {
    .dial = conn_app_dial, .drop = conn_app_drop, .refused = refused};

// ---- opening ------------------------------------------------------------------------------------

// The stream whose peer is the client; NULL: it came in plaintext.
static const struct tls_stream *stream_of(const struct conn *conn) {
    const struct tunnel *tunnel = conn_tunnel(conn);
    if (tunnel != NULL) {
        return tunnel->link.stream;
    }
    return conn->session == NULL ? NULL : conn->near_leg.tls.link.stream;
}

static void describe_client(const struct conn *conn, struct http_caller *caller) {
    caller->tls = stream_of(conn) != NULL;
    caller->mesh = conn_tunnel(conn) != NULL;
    if (conn->session == NULL) { // the tunnel has verified its peer; plaintext is for anybody
        caller->client = caller->tls ? HTTP_CLIENT_VERIFIED : HTTP_CLIENT_NONE;
        return;
    }
    const struct edge_client *client = edge_session_client(conn->session);
    const struct edge_rules *rules = edge_session_rules(conn->session);
    const char *name = edge_session_server_name(conn->session);
    caller->sni = name[0] == '\0' ? conn_edge_port(conn)->server.fallback_name : name;
    caller->requires_client = rules->auth == EDGE_AUTH_REQUIRED;
    caller->client = client->is_verified    ? HTTP_CLIENT_VERIFIED
                     : client->is_presented ? HTTP_CLIENT_REFUSED
                                            : HTTP_CLIENT_NONE;
    caller->refusal = edge_session_refusal(conn->session);
    // With `optional` too a wrong certificate is refused; none is not.
    if (rules->auth == EDGE_AUTH_OPTIONAL && caller->client == HTTP_CLIENT_REFUSED) {
        caller->requires_client = true;
    }
}

// False: what the application must be told cannot be told.
static bool make_headers(struct conn *conn, struct err *err) {
    struct conn_http *http = conn->http;
    const struct edge_options *options = &conn_edge_port(conn)->options->edge;
    const struct tls_stream *stream = stream_of(conn);
    if (options->forward_client_cert != FORWARD_HEADERS ||
        http->caller.client != HTTP_CLIENT_VERIFIED || stream == NULL) {
        return true;
    }
    const struct peer *peer = conn_peer(conn);
    http->caller.facts = &http->facts;
    return client_headers_from_der(&http->facts, tls_stream_leaf(stream),
                                   peer == NULL || peer->id.len == 0 ? NULL : peer->id.text, err);
}

static enum http_version version_of(const struct conn *conn) {
    if (conn->session == NULL) {
        return HTTP_VERSION_ANY;
    }
    struct span alpn = edge_session_alpn(conn->session);
    return span_equal_text(alpn, "h2") ? HTTP_VERSION_2
           : alpn.len > 0              ? HTTP_VERSION_1
                                       : HTTP_VERSION_ANY;
}

static bool open_edge(struct conn *conn, struct err *err) {
    struct conn_http *http = conn->http;
    const struct edge_port *port = conn_edge_port(conn);
    const struct edge_rules *rules =
        conn->session == NULL ? NULL : edge_session_rules(conn->session);
    describe_client(conn, &http->caller);
    if (!make_headers(conn, err)) {
        return false;
    }
    const struct http_edge_setup setup = {
        .policy = edge_http_policy(&port->http, &port->server, rules),
        .caller = &http->caller,
        .client = version_of(conn),
        .application = port->http.application,
        .env = &ENV,
        .arg = conn,
    };
    http->read_timeout_ms = port->options->edge.http.read_timeout_ms;
    http->send_timeout_ms = port->options->edge.http.send_timeout_ms;
    http->edge = http_edge_new(&setup);
    return http->edge != NULL || ERR_NO_MEMORY(err, "opening an HTTP connection");
}

enum conn_state conn_start_http(struct conn *conn, const struct netaddr *to) {
    struct err err = {0};
    conn->http = calloc(1, sizeof(*conn->http));
    if (conn->http == NULL) {
        conn_end(conn, CLOSE_NO_MEMORY);
        return CONN_DEAD;
    }
    conn->http->to = *to;
    conn->http->has_spare = true;
    list_init(&conn->http->links);
    if (!open_edge(conn, &err)) {
        conn->edge_rule = "forwardClientCert";
        conn_end_why(conn, CLOSE_PEER_IDENTITY, "port %u: %s", conn->destination.port, err.msg);
        return CONN_DEAD;
    }
    if (conn->kind == CONN_INBOUND_STREAM) {
        leg_stream_respond(&conn->near_leg.stream, 200);
    }
    return CONN_HTTP;
}

void conn_http_free(struct conn *conn) {
    struct conn_http *http = take(&conn->http);
    if (http == NULL) {
        return;
    }
    conn->http = http; // links ask for it while they go
    http_edge_free(http->edge);
    LIST_FOR_EACH(&http->links, it) {
        conn_app_let_go(LIST_ENTRY(it, struct app_link, node));
    }
    conn->http = NULL;
    http_fields_fini(&http->facts);
    free(http);
}

// ---- moving -------------------------------------------------------------------------------------

// By way of the scratch: what a leg is given to write may be overwritten, also before its begin.
enum leg_status conn_http_write(struct conn *conn, struct leg *leg, struct span bytes,
                                size_t *taken) {
    struct leg_scratch *scratch = &conn->worker->scratch->socket;
    struct leg_runs runs = {.num = 1};
    *taken = 0;
    if (bytes.len == 0) {
        return LEG_OK;
    }
    size_t len = bytes.len < sizeof(scratch->bytes) ? bytes.len : sizeof(scratch->bytes);
    memcpy(scratch->bytes, bytes.ptr, len);
    runs.run[0] = (struct iovec){.iov_base = scratch->bytes, .iov_len = len};
    runs.len = len;
    enum leg_status status = leg->ops->write(leg, &runs, taken);
    conn->http->moved += *taken;
    return status;
}

static bool take_offer(struct conn *conn, const struct leg_runs *offer) {
    size_t taken = 0;
    for (int i = 0; i < offer->num; i++) {
        size_t len = offer->run[i].iov_len;
        size_t n = http_edge_receive(conn->http->edge, span_of(offer->run[i].iov_base, len));
        taken += n;
        if (n < len) {
            break;
        }
    }
    conn->relay.up.bytes += taken;
    conn->http->moved += taken;
    counter_add(&conn->worker->counters.metrics[METRIC_BYTES_RECEIVED], (int64_t)taken);
    if (!conn->near->ops->consume(conn->near, offer, taken)) {
        conn_end(conn, CLOSE_NO_MEMORY);
    }
    return taken > 0;
}

static bool take_from_client(struct conn *conn) {
    struct conn_http *http = conn->http;
    struct leg_runs offer;
    if (http->near_ended || !http_edge_wants_input(http->edge)) {
        return false;
    }
    switch (conn->near->ops->peek(conn->near, LEG_ROOM_UNKNOWN, &offer)) {
    case LEG_OK:
        return take_offer(conn, &offer);
    case LEG_AGAIN:
        return false;
    case LEG_END:
        http->near_ended = true;
        http_edge_end(http->edge);
        return true;
    case LEG_FAILED:
        break;
    }
    conn_end(conn, http->near_finished ? CLOSE_DONE : conn->near->failure);
    return false;
}

static bool give_to_client(struct conn *conn) {
    struct conn_http *http = conn->http;
    struct span out = http_edge_output(http->edge);
    size_t taken = 0;
    enum leg_status status = conn_http_write(conn, conn->near, out, &taken);
    if (status == LEG_FAILED) {
        conn_end(conn, conn->near->failure);
        return false;
    }
    http->near_blocked = taken < out.len && status == LEG_AGAIN;
    conn->relay.down.bytes += taken;
    counter_add(&conn->worker->counters.metrics[METRIC_BYTES_SENT], (int64_t)taken);
    if (taken > 0) {
        http_edge_sent(http->edge, taken);
    }
    return taken > 0;
}

static void let_others(struct conn *conn) {
    conn->http->moved = 0;
    conn->near->ops->enough(conn->near);
    LIST_FOR_EACH(&conn->http->links, it) {
        struct leg *leg = LIST_ENTRY(it, struct app_link, node)->leg;
        if (leg != NULL) {
            leg->ops->enough(leg);
        }
    }
}

static bool step_links(struct conn *conn) {
    bool moved = false;
    LIST_FOR_EACH(&conn->http->links, it) {
        moved = conn_app_step(LIST_ENTRY(it, struct app_link, node)) || moved;
    }
    LIST_FOR_EACH(&conn->http->links, it) {
        struct app_link *link = LIST_ENTRY(it, struct app_link, node);
        if (link->back == NULL) {
            conn_app_let_go(link);
        }
    }
    return moved;
}

static void move_all(struct conn *conn) {
    bool moved;
    conn->http->moved = 0;
    do {
        if (conn->http->moved >= RELAY_TURN_BYTES) {
            let_others(conn);
        }
        moved = take_from_client(conn);
        if (conn->state != CONN_DEAD) {
            moved = step_links(conn) || moved;
            moved = give_to_client(conn) || moved;
        }
    } while (moved && conn->state != CONN_DEAD);
}

// ---- the end ------------------------------------------------------------------------------------

static void finish_near(struct conn *conn) {
    struct conn_http *http = conn->http;
    if (http->near_finished || http_edge_output(http->edge).len > 0) {
        return;
    }
    switch (conn->near->ops->finish(conn->near)) {
    case LEG_OK:
        http->near_finished = true;
        break;
    case LEG_FAILED:
        conn_end(conn, conn->near->failure);
        break;
    default:
        http->near_blocked = true;
        break;
    }
}

static enum conn_state judge_end(struct conn *conn) {
    struct conn_http *http = conn->http;
    enum leg_status flushed = conn->near->ops->flush(conn->near);
    if (flushed == LEG_FAILED) {
        conn_end(conn, conn->near->failure);
        return CONN_DEAD;
    }
    bool empty = flushed == LEG_OK && http_edge_output(http->edge).len == 0;
    switch (http_edge_state(http->edge)) {
    case HTTP_EDGE_OPEN:
        return CONN_HTTP;
    case HTTP_EDGE_FINISHED:
        finish_near(conn);
        break;
    case HTTP_EDGE_OVER:
        finish_near(conn);
        if (conn->state != CONN_DEAD && empty && http->near_finished) {
            conn_end(conn, CLOSE_DONE);
        }
        break;
    case HTTP_EDGE_BROKEN:
        if (empty) {
            conn_end(conn, http->near_ended ? CLOSE_PEER_RESET : CLOSE_APP_RESET);
        }
        break;
    }
    return conn->state == CONN_DEAD ? CONN_DEAD : CONN_HTTP;
}

static void count_requests(struct conn *conn) {
    uint64_t now = http_edge_num_requests(conn->http->edge);
    counter_add(&conn->worker->counters.metrics[METRIC_HTTP_REQUESTS],
                (int64_t)(now - conn->http->counted));
    conn->http->counted = now;
}

// A request may be on its way to us, above all a connection's first one.
static void drain(struct conn_http *http) {
    int64_t now = clock_mono_ms();
    if (http->drain_till == 0) {
        http->drain_till = now + REQUEST_TRAVELS_MS;
    }
    if (now < http->drain_till) {
        http_edge_drain(http->edge);
    } else {
        http_edge_close_idle(http->edge);
    }
}

enum conn_state conn_step_http(struct conn *conn) {
    if (conn->worker->draining) {
        drain(conn->http);
    }
    move_all(conn);
    if (conn->state == CONN_DEAD) {
        return CONN_DEAD;
    }
    count_requests(conn);
    return judge_end(conn);
}
