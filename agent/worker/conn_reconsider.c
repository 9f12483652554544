// Whether a connection that is open may stay so under another configuration.
#include <string.h>

#include "agent/worker/conn_internal.h"
#include "agent/worker/worker.h"

// The identity that the connection's TLS was made with; NULL when it has none.
static struct identity *own_identity(const struct conn *conn) {
    const struct tunnel *tunnel = conn_tunnel(conn);
    if (tunnel != NULL) {
        return tls_context_identity(tunnel->context);
    }
    const struct tls_stream *stream = conn_mutual_stream(conn);
    return stream == NULL ? NULL : tls_context_identity(tls_stream_context(stream));
}

// A name that the connection was verified by is the one that the rule says now.
static bool has_name_of(const struct conn *conn, const struct outbound_rule *rule) {
    const struct outbound_rule *then = conn->decision.rule;
    return rule != NULL && rule->server_name != NULL && then != NULL && then->server_name != NULL &&
           strcmp(rule->server_name, then->server_name) == 0;
}

static bool is_still_accepted(const struct conn *conn, const struct snapshot *snapshot) {
    struct outbound_target target = {
        .addr = &conn->destination, .host = conn->decision.host, .redirected = conn->redirected};
    struct outbound_decision now =
        policy_outbound_decide(snapshot->config, snapshot->hosts, &target);
    if (now.action == OUTBOUND_UNRESOLVED) {
        return true; // nobody knows better yet
    }
    if (now.action == OUTBOUND_REFUSE || now.action == OUTBOUND_REFUSE_OWN) {
        return false;
    }
    if (conn->decision.action == OUTBOUND_TO_SERVER) {
        return now.action != OUTBOUND_TO_MESH; // lists are for new connections
    }
    const struct peer *peer = conn_peer(conn);
    struct identity *own = own_identity(conn);
    if (peer == NULL || own == NULL) {
        // Plain: no longer, where a rule now demands TLS. TRY_MESH had its answer at accept.
        return now.action == OUTBOUND_PLAIN || now.action == OUTBOUND_TRY_MESH;
    }
    if (has_name_of(conn, now.rule) && now.peers->num == 0) {
        return true;
    }
    return now.action == OUTBOUND_PLAIN ||
           policy_peer_is_acceptable(now.peers, identity_trust_domain(own), &peer->id);
}

void conn_reconsider(struct conn *conn, const struct snapshot *snapshot) {
    bool allowed = true;
    if (conn->state < CONN_HTTP || conn->state == CONN_DEAD) {
        return; // it decides by its own snapshot and is looked at again when it is open
    }
    if (conn->kind == CONN_OUTBOUND) {
        allowed = is_still_accepted(conn, snapshot);
    } else if (conn->kind == CONN_INBOUND_DIRECT) {
        allowed = policy_inbound_direct_decide(snapshot->config, conn->destination.port) !=
                  INBOUND_REFUSE;
    } else {
        const struct peer *peer = conn_peer(conn);
        struct span own = {0};
        if (snapshot->context != NULL) {
            own = identity_trust_domain(tls_context_identity(snapshot->context));
        }
        allowed = peer == NULL || policy_authorize(snapshot->config, own, &peer->id, &conn->source,
                                                   conn->destination.port)
                                      .allow;
    }
    if (!allowed) {
        conn_end_why(conn, CLOSE_AUTHORIZATION_LOST,
                     "the configuration that was loaded no longer allows this connection");
    }
}
