// The PROXY protocol on inbound connections: taken from a load balancer in front, and given to the
// application behind.
#include <stdlib.h>
#include <string.h>

#include "agent/net/proxy_v2.h"
#include "agent/net/socket.h"
#include "agent/worker/conn_internal.h"

// A header on its way in; only as many bytes as belong to it are taken from the socket.
struct proxy_reader {
    size_t len;
    uint8_t bytes[PROXY_V2_MAX];
};

static enum conn_state refuse(struct conn *conn, const char *rule, enum close_reason reason,
                              const char *sentence) {
    char text[NETADDR_TEXT_MAX];
    conn->edge_rule = rule;
    conn_end_why(conn, reason, "port %u: %s %s", conn->destination.port,
                 netaddr_format(&conn->source, text), sentence);
    return CONN_DEAD;
}

enum conn_state conn_start_proxy(struct conn *conn) {
    const struct inbound_port *port =
        config_inbound_port(conn->snapshot->config, conn->destination.port);
    if (port == NULL || !port->edge.accept_proxy) {
        return conn_start_sniff(conn);
    }
    if (!prefix_list_contains(&port->edge.proxy_from, &conn->source)) {
        return refuse(conn, "proxyFrom", CLOSE_PROXY_HEADER,
                      "is in none of proxyFrom's networks, and the port takes nobody else");
    }
    conn->proxy = calloc(1, sizeof(*conn->proxy));
    if (conn->proxy == NULL) {
        conn_end(conn, CLOSE_NO_MEMORY);
        return CONN_DEAD;
    }
    conn->near->ops->arm(conn->near, true, false);
    return CONN_PROXY;
}

static enum conn_state take_header(struct conn *conn) {
    struct proxy_v2_source said;
    if (!proxy_v2_parse(span_of(conn->proxy->bytes, conn->proxy->len), &said)) {
        return refuse(conn, "acceptProxy", CLOSE_PROXY_HEADER,
                      "sent a PROXY v2 header that is malformed or not for TCP");
    }
    if (!said.is_local) {
        conn->source = said.source;
    }
    free(take(&conn->proxy));
    return conn_start_sniff(conn);
}

enum conn_state conn_step_proxy(struct conn *conn) {
    struct proxy_reader *reader = conn->proxy;
    for (;;) {
        size_t want =
            reader->len < PROXY_V2_FIXED ? PROXY_V2_FIXED : proxy_v2_length(reader->bytes);
        if (want == 0) {
            return refuse(conn, "acceptProxy", CLOSE_PROXY_HEADER, "sent no PROXY v2 header");
        }
        if (want == reader->len) {
            return take_header(conn);
        }
        size_t got = 0;
        switch (socket_read(conn->near_leg.socket.fd, reader->bytes + reader->len,
                            want - reader->len, &got)) {
        case SOCKET_OK:
            reader->len += got;
            break;
        case SOCKET_AGAIN:
            return CONN_PROXY;
        default:
            // A probe that connects and leaves has asked for nothing.
            conn_end(conn, reader->len == 0 ? CLOSE_DONE : CLOSE_PEER_RESET);
            return CONN_DEAD;
        }
    }
}

// --- to the application

// False when the subject does not fit: a part of it would be somebody else's.
static bool describe_tls(const struct conn *conn, struct proxy_v2_tls *out) {
    const struct tls_stream *stream = conn->near_leg.tls.link.stream;
    const struct edge_client *client = edge_session_client(conn->session);
    const char *name = edge_session_server_name(conn->session);
    *out = (struct proxy_v2_tls){.version = tls_stream_version(stream),
                                 .cipher = tls_stream_cipher(stream),
                                 .server_name = name[0] == '\0' ? NULL : name,
                                 .alpn = edge_session_alpn(conn->session)};
    if (client->is_verified) {
        bool workload = client->peer.id.len > 0;
        out->common_name = client->common_name;
        out->identity = workload ? client->peer.id.text : client->subject;
        return workload || strlen(client->subject) < sizeof(client->subject) - 1;
    }
    return true;
}

bool conn_greet_application(struct conn *conn, int fd) {
    const struct inbound_port *port =
        config_inbound_port(conn->snapshot->config, conn->destination.port);
    bool tells_client = port != NULL && port->edge.forward_client_cert == FORWARD_PROXY_V2;
    if (conn->kind == CONN_OUTBOUND || port == NULL || (!port->edge.send_proxy && !tells_client)) {
        return true;
    }
    struct proxy_v2_tls tls = {0};
    const struct tunnel *tunnel = conn_tunnel(conn);
    bool has_tls = tells_client && (conn->session != NULL || tunnel != NULL);
    if (conn->session != NULL) {
        if (!describe_tls(conn, &tls) && has_tls) {
            return false;
        }
    } else if (tunnel != NULL && tunnel_peer(tunnel) != NULL) {
        const char *id = tunnel_peer(tunnel)->id.text;
        tls = (struct proxy_v2_tls){.version = tls_stream_version(tunnel->link.stream),
                                    .cipher = tls_stream_cipher(tunnel->link.stream),
                                    .common_name = id,
                                    .identity = id};
    }
    struct buf header = {0};
    bool ok = proxy_v2_render(&conn->source, &conn->destination, has_tls ? &tls : NULL, &header) &&
              socket_send_whole(fd, buf_span(&header)); // a new connection has room for it
    buf_fini(&header);
    return ok;
}
