// Direct connections to ports where TLS may end: the first byte decides, the client is judged, and
// only then the application is dialled. A refused client hears why before the socket goes.

#include "agent/net/socket.h"
#include "agent/worker/conn_internal.h"
#include "agent/worker/worker.h"
#include "base/clock.h"

#define TLS_HANDSHAKE_RECORD 0x16
#define LINGER_BYTES (64 * 1024) // read and dropped from a client that was refused

static const struct inbound_port *port_of(const struct conn *conn) {
    return config_inbound_port(conn->snapshot->config, conn->destination.port);
}

const struct edge_port *conn_edge_port(const struct conn *conn) {
    bool inbound = conn->kind != CONN_OUTBOUND;
    return inbound ? edge_set_find(conn->snapshot->edges, conn->destination.port) : NULL;
}

static enum conn_state dial_application(struct conn *conn) {
    const struct inbound_port *port = port_of(conn);
    const struct netaddr *to =
        port != NULL && port->has_deliver ? &port->deliver : &conn->destination;
    if (port != NULL && port->edge.is_http) {
        return conn_start_http(conn, to);
    }
    conn->near->ops->arm(conn->near, false, false); // what it says waits for the application
    return conn_start_dial(conn, to);
}

static enum conn_state refuse(struct conn *conn, const char *rule, enum close_reason reason,
                              const char *sentence) {
    conn->edge_rule = rule;
    conn_end_why(conn, reason, "port %u: %s", conn->destination.port, sentence);
    return CONN_DEAD;
}

// --- the first byte

enum conn_state conn_start_sniff(struct conn *conn) {
    conn_audit_open(conn);
    const struct inbound_port *port = port_of(conn);
    if (port == NULL || port->tls_mode < INBOUND_PERMISSIVE) {
        return dial_application(conn);
    }
    conn->near->ops->arm(conn->near, true, false);
    bool client_first = port->tls_mode == INBOUND_REQUIRED || port->edge.is_http;
    return client_first ? CONN_SNIFF_TLS : CONN_SNIFF;
}

// A server that speaks first has clients that wait: after a while they get the application.
void conn_on_sniff_timeout(struct conn *conn) {
    enum conn_state next = dial_application(conn);
    if (conn->state != CONN_DEAD) {
        conn->state = next;
        conn_step(conn);
    }
}

static struct identity *identity_now(const struct conn *conn) {
    enum close_reason missing = CLOSE_NONE;
    struct tls_context *context =
        snapshot_context(conn->worker->snapshot, clock_wall_s(), &missing);
    return context == NULL ? NULL : tls_context_identity(context);
}

static enum conn_state start_tls(struct conn *conn) {
    struct edge_session *session = NULL;
    struct tls_stream *stream = edge_session_accept(
        &conn_edge_port(conn)->server, conn->snapshot->staples, identity_now(conn), &session);
    if (stream == NULL) {
        conn_end(conn, CLOSE_NO_MEMORY);
        return CONN_DEAD;
    }
    conn->near =
        conn_leg_tls(conn, &conn->near_leg.tls, stream, leg_socket_release(&conn->near_leg.socket));
    conn->session = session;
    return CONN_NEAR_HANDSHAKE;
}

static enum conn_state decide_by_byte(struct conn *conn, bool is_tls) {
    const struct inbound_port *port = port_of(conn);
    bool redirects = port->edge.is_http && port->edge.http.redirect_to_https;
    if (!is_tls && port->tls_mode == INBOUND_REQUIRED && !redirects) {
        return refuse(conn, "tlsMode", CLOSE_TLS_REQUIRED,
                      "plaintext came, and tlsMode says required");
    }
    bool ends_here = is_tls && port->edge.app_tls != APP_TLS_PASSTHROUGH;
    return ends_here ? start_tls(conn) : dial_application(conn);
}

enum conn_state conn_step_sniff(struct conn *conn) {
    int byte = socket_peek(conn->near_leg.socket.fd);
    switch (byte) {
    case SOCKET_PEEK_AGAIN:
        return conn->state;
    case SOCKET_PEEK_FAILED:
        conn_end(conn, CLOSE_PEER_RESET);
        return CONN_DEAD;
    case SOCKET_PEEK_END:
        if (conn->state == CONN_SNIFF) {
            return dial_application(conn);
        }
        conn_end(conn, CLOSE_DONE); // a probe of the port: nothing was asked
        return CONN_DEAD;
    default:
        return decide_by_byte(conn, byte == TLS_HANDSHAKE_RECORD);
    }
}

// --- the handshake with the client

static const char *rule_for(enum verify_result result) {
    return result == VERIFY_NO_CERTIFICATE ? "clientAuth"
           : result == VERIFY_SUBJECT      ? "authorizedSubjects"
           : result == VERIFY_WEAK         ? "allowWeakClientCerts"
           : result == VERIFY_EXPIRED      ? "allowOutdatedClientCerts"
                                           : "clientCerts";
}

static enum conn_state linger(struct conn *conn) {
    struct leg_tls *leg = &conn->near_leg.tls;
    if (leg->link.fd < 0 || tls_link_flush(&leg->link) == TLS_FAILED) {
        conn_end(conn, conn->reason);
        return CONN_DEAD;
    }
    conn->linger_left = LINGER_BYTES;
    return CONN_LINGER;
}

static void count_refusal(struct conn *conn, enum verify_result result) {
    struct counters *counters = &conn->worker->counters;
    bool ours = result != VERIFY_OK;
    counter_add(&counters->metrics[ours ? METRIC_HANDSHAKE_IN_REFUSED : METRIC_HANDSHAKE_IN_FAILED],
                1);
    if (ours) {
        counter_add(&counters->refused[INBOUND][result], 1);
    }
}

// Says why in `detail`; the connection ends when the alert has had its chance.
static enum conn_state refuse_client(struct conn *conn) {
    const struct tls_stream *stream = conn->near_leg.tls.link.stream;
    const struct edge_client *client = edge_session_client(conn->session);
    enum verify_result result =
        client->result != VERIFY_OK ? client->result : tls_stream_refusal(stream);
    const char *why = result == VERIFY_NO_CERTIFICATE ? "peer did not return a certificate"
                                                      : tls_stream_error(stream);
    const char *name = edge_session_server_name(conn->session);
    count_refusal(conn, result);
    conn->edge_rule = result == VERIFY_OK ? "tlsMode" : rule_for(result);
    conn->reason = result == VERIFY_OK ? CLOSE_TLS_FAILED : CLOSE_PEER_IDENTITY;
    if (asprintf(&conn->detail, "port %u, server name \"%s\": %s%s%s%s", conn->destination.port,
                 name, client->is_presented ? "client \"" : "", client->subject,
                 client->is_presented ? "\": " : "",
                 why[0] != '\0' ? why : "the client closed during the handshake") < 0) {
        conn->detail = NULL;
    }
    conn_audit_auth(conn, false);
    return linger(conn);
}

// A workload's identity is judged like one that comes through the tunnel.
static bool is_authorized(struct conn *conn) {
    const struct edge_client *client = edge_session_client(conn->session);
    struct identity *identity = identity_now(conn);
    if (!client->is_verified || client->peer.id.len == 0) {
        return true;
    }
    struct authorization_decision decision = {.allow = false};
    if (identity != NULL) {
        decision = policy_authorize(conn->snapshot->config, identity_trust_domain(identity),
                                    &client->peer.id, &conn->source, conn->destination.port);
    }
    counter_add(
        &conn->worker->counters.metrics[decision.allow ? METRIC_AUTHORIZED : METRIC_UNAUTHORIZED],
        1);
    if (!decision.allow) {
        conn->edge_rule = "authorization";
        conn_audit_auth(conn, false);
        conn_end_why(conn, CLOSE_UNAUTHORIZED, "inbound.authorization does not allow %s on port %u",
                     client->peer.id.text, conn->destination.port);
    }
    return decision.allow;
}

enum conn_state conn_step_near_handshake(struct conn *conn) {
    struct leg_tls *leg = &conn->near_leg.tls;
    switch (leg_tls_handshake(leg)) {
    case TLS_AGAIN:
        return CONN_NEAR_HANDSHAKE;
    case TLS_OK:
        counter_add(&conn->worker->counters.metrics[tls_stream_is_resumed(leg->link.stream)
                                                        ? METRIC_HANDSHAKE_IN_RESUMED
                                                        : METRIC_HANDSHAKE_IN_OK],
                    1);
        if (!is_authorized(conn)) {
            return CONN_DEAD;
        }
        conn_audit_auth(conn, true);
        return dial_application(conn);
    default:
        return refuse_client(conn);
    }
}

// An alert that is followed by RST is lost: what the client has sent already is read first, and its
// own end is awaited, both within bounds.
enum conn_state conn_step_linger(struct conn *conn) {
    struct leg_tls *leg = &conn->near_leg.tls;
    if (tls_link_flush(&leg->link) == TLS_AGAIN) {
        conn->near->ops->arm(conn->near, false, true);
        return CONN_LINGER;
    }
    if (!conn->has_lingered) {
        conn->has_lingered = true; // the end is an orderly one from here on
        socket_finish(leg->link.fd);
    }
    switch (socket_drop(leg->link.fd, &conn->linger_left)) {
    case SOCKET_AGAIN:
        conn->near->ops->arm(conn->near, true, false);
        return CONN_LINGER;
    default:
        conn_end(conn, conn->reason);
        return CONN_DEAD;
    }
}

// --- TLS towards the application

struct tls_stream *conn_app_tls(const struct conn *conn, struct span alpn) {
    struct edge_app_how how = {.identity = identity_now(conn), .alpn = alpn};
    return edge_app_connect(&conn_edge_port(conn)->app, &how);
}

enum conn_state conn_start_app_tls(struct conn *conn, int fd) {
    struct span alpn = conn->session == NULL ? span_of(NULL, 0) : edge_session_alpn(conn->session);
    struct tls_stream *stream = conn_app_tls(conn, alpn);
    if (stream == NULL) {
        socket_close(fd);
        conn_end(conn, CLOSE_NO_MEMORY);
        return CONN_DEAD;
    }
    conn->far = conn_leg_tls(conn, &conn->far_leg.tls, stream, fd);
    return CONN_APP_HANDSHAKE;
}

enum conn_state conn_step_app_handshake(struct conn *conn) {
    struct leg_tls *leg = &conn->far_leg.tls;
    char text[NETADDR_TEXT_MAX];
    switch (leg_tls_handshake(leg)) {
    case TLS_AGAIN:
        return CONN_APP_HANDSHAKE;
    case TLS_OK:
        return conn_far_is_open(conn);
    default:
        break;
    }
    const char *why = tls_stream_error(leg->link.stream);
    conn->edge_rule = "appTls";
    bool is_stream = conn->kind == CONN_INBOUND_STREAM;
    conn->near = is_stream ? NULL : conn->near; // the answer is a status, not a reset
    conn_end_why(conn, CLOSE_APP_UNREACHABLE, "TLS with the application at %s: %s",
                 netaddr_format(&conn->via, text),
                 why[0] != '\0' ? why : "it closed during the handshake");
    if (is_stream) {
        leg_stream_respond(&conn->near_leg.stream, 503);
    }
    return CONN_DEAD;
}
