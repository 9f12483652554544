// What is known of a connection: who is at its other end, and what protects it.
#include "agent/worker/conn_internal.h"

enum direction conn_direction(const struct conn *conn) {
    return conn->kind == CONN_OUTBOUND ? OUTBOUND : INBOUND;
}

uint64_t conn_bytes_sent(const struct conn *conn) {
    return conn->kind == CONN_OUTBOUND ? conn->relay.up.bytes : conn->relay.down.bytes;
}

uint64_t conn_bytes_received(const struct conn *conn) {
    return conn->kind == CONN_OUTBOUND ? conn->relay.down.bytes : conn->relay.up.bytes;
}

static bool is_open(const struct conn *conn) {
    return conn->state == CONN_RELAY || conn->state == CONN_FLUSH;
}

const struct tunnel *conn_tunnel(const struct conn *conn) {
    if (conn->kind == CONN_INBOUND_STREAM) {
        return conn->near_leg.stream.tunnel;
    }
    bool mesh =
        conn->decision.action == OUTBOUND_TO_MESH || conn->decision.action == OUTBOUND_TRY_MESH;
    bool has_stream = conn->kind == CONN_OUTBOUND && mesh && conn->far != NULL;
    return has_stream ? conn->far_leg.stream.tunnel : NULL;
}

const struct peer *conn_peer(const struct conn *conn) {
    const struct tunnel *tunnel = conn_tunnel(conn);
    if (tunnel != NULL) {
        return tunnel_peer(tunnel);
    }
    const struct edge_client *client = conn_edge_client(conn);
    if (client != NULL) {
        return client->is_verified && client->peer.id.len > 0 ? &client->peer : NULL;
    }
    const struct tls_stream *stream = conn_mutual_stream(conn);
    return stream == NULL ? NULL : tls_stream_peer(stream);
}

const struct tls_stream *conn_mutual_stream(const struct conn *conn) {
    // Before the handshake has ended a name is claimed, not proven.
    bool tls = is_open(conn) && conn->kind == CONN_OUTBOUND &&
               conn->decision.action == OUTBOUND_TO_MUTUAL && conn->far != NULL;
    return tls ? conn->far_leg.tls.link.stream : NULL;
}

bool conn_shows_identity(const struct conn *conn) {
    return is_open(conn) && conn->shown_until_s != 0;
}

const struct edge_client *conn_edge_client(const struct conn *conn) {
    return conn->session == NULL ? NULL : edge_session_client(conn->session);
}

// TLS to a server that the rule's own lists judged is open.
static bool has_origin(const struct conn *conn) {
    return is_open(conn) && conn->kind == CONN_OUTBOUND &&
           conn->decision.action == OUTBOUND_TO_SERVER;
}

bool conn_has_security(const struct conn *conn) {
    return has_origin(conn) || conn_edge_client(conn) != NULL || conn_peer(conn) != NULL;
}

const char *conn_security(const struct conn *conn) {
    const struct edge_client *client = conn_edge_client(conn);
    if (!conn_has_security(conn)) {
        return "none";
    }
    bool one_sided = client != NULL
                         ? !client->is_verified
                         : has_origin(conn) && conn->decision.rule->tls != OUTBOUND_MUTUAL;
    return one_sided ? "tls" : "mutual_tls";
}
