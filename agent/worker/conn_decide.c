// What a new connection becomes: policy asked, before a byte moves.

#include "agent/net/socket.h"
#include "agent/tunnel/connect_authority.h"
#include "agent/worker/conn_internal.h"
#include "agent/worker/worker.h"
#include "base/clock.h"

#define ADDRESSES_TRIED_MAX 8

static enum conn_state decide_untried(struct conn *conn) {
    struct destinations *known = conn->worker->shared->destinations;
    switch (destinations_look_up(known, &conn->destination, clock_wall_ms())) {
    case DESTINATION_PINNED:
        conn->decision.action = OUTBOUND_TO_MESH; // in the mesh: never plaintext again
        return conn_start_tunnel(conn);
    case DESTINATION_PLAINTEXT:
        conn->decision.action = OUTBOUND_PLAIN;
        return conn_start_dial(conn, &conn->destination);
    case DESTINATION_SERVICE:
        return conn_start_locate(conn);
    case DESTINATION_UNREACHABLE:
        conn_end_why(conn, CLOSE_TUNNEL_UNREACHABLE,
                     "the destination's tunnel port did not answer a moment ago and "
                     "outbound.mesh.onUnreachable is deny");
        return CONN_DEAD;
    case DESTINATION_UNKNOWN:
        break;
    }
    return conn_start_tunnel(conn);
}

// --- host names

static const char *host_of(const struct conn *conn) {
    return conn->listener == NULL ? NULL : conn->listener->destination.host;
}

// The newest, as with the identity: the connection may have waited for it.
static const struct host_entry *find_host(const struct conn *conn) {
    return host_table_find(conn->worker->snapshot->hosts, host_of(conn));
}

// Where a listener that leads to a host leads to now. CONN_NEW: there.
static enum conn_state take_address(struct conn *conn) {
    const struct host_entry *entry = find_host(conn);
    if (entry == NULL || !entry->is_known) {
        return CONN_RESOLVE;
    }
    if (entry->num_current == 0) {
        conn_end_why(conn, CLOSE_HOST_UNRESOLVED, "%s", entry->last_error);
        return CONN_DEAD;
    }
    conn->destination = netaddr_with_port(&entry->addresses[conn->tried % entry->num_current].ip,
                                          conn->listener->destination.addr.port);
    return CONN_NEW;
}

bool conn_try_next_address(struct conn *conn) {
    const struct host_entry *entry = host_of(conn) == NULL ? NULL : find_host(conn);
    if (entry == NULL || conn->tried + 1 >= ADDRESSES_TRIED_MAX ||
        conn->tried + 1 >= entry->num_current) {
        return false;
    }
    conn->tried++;
    conn->tries = 0;
    conn->again = true;
    conn->timed_state = CONN_DEAD; // the next address has the whole time
    return true;
}

void conn_on_resolve_timeout(struct conn *conn) {
    const char *host = host_of(conn);
    const struct host_entry *entry = host == NULL ? NULL : find_host(conn);
    if (host != NULL && (entry == NULL || !entry->is_known)) {
        conn_end_why(conn, CLOSE_HOST_UNRESOLVED, "DNS has not answered for \"%s\"", host);
    } else {
        conn_end_why(conn, CLOSE_HOST_UNRESOLVED,
                     "rule %s is for host names, and DNS has not answered for all of them",
                     conn->decision.rule->name);
    }
}

// --- outbound

// A pod behind a Service: a tunnel, or nothing. Rules hold for its own address too.
static enum conn_state decide_located(struct conn *conn) {
    if (conn->decision.action == OUTBOUND_TO_MESH || conn->decision.action == OUTBOUND_TRY_MESH) {
        conn->decision.action = OUTBOUND_TO_MESH;
        return conn_start_tunnel(conn);
    }
    const struct outbound_rule *rule = conn->decision.rule;
    char text[NETADDR_TEXT_MAX];
    conn_end_why(conn, CLOSE_DENIED_BY_RULE,
                 "behind the Service is %s, for which rule %s says something else than mesh",
                 netaddr_format(&conn->destination, text), rule == NULL ? "(none)" : rule->name);
    return CONN_DEAD;
}

static enum conn_state decide_outbound(struct conn *conn) {
    const struct config *config = conn->snapshot->config;
    bool is_located = conn->service.family != NETADDR_NONE;
    enum conn_state next = host_of(conn) == NULL || is_located ? CONN_NEW : take_address(conn);
    if (next != CONN_NEW) {
        return next;
    }
    struct outbound_target target = {
        .addr = &conn->destination, .host = host_of(conn), .redirected = conn->redirected};
    conn->decision = policy_outbound_decide(config, conn->worker->snapshot->hosts, &target);
    if (is_located) {
        return decide_located(conn);
    }
    switch (conn->decision.action) {
    case OUTBOUND_UNRESOLVED:
        return CONN_RESOLVE;
    case OUTBOUND_TO_MESH:
        return conn_start_tunnel(conn);
    case OUTBOUND_TRY_MESH:
        return decide_untried(conn);
    case OUTBOUND_TO_MUTUAL:
    case OUTBOUND_TO_SERVER:
    case OUTBOUND_PLAIN:
        return conn_start_dial(conn, &conn->destination);
    case OUTBOUND_REFUSE:
        conn_end_why(conn, CLOSE_DENIED_BY_RULE, "rule %s says deny", conn->decision.rule->name);
        return CONN_DEAD;
    case OUTBOUND_REFUSE_OWN:
        conn_end(conn, CLOSE_OWN_PORT);
        return CONN_DEAD;
    }
    return CONN_DEAD;
}

enum conn_state conn_admit_direct(struct conn *conn) {
    if (policy_inbound_direct_decide(conn->snapshot->config, conn->destination.port) ==
        INBOUND_REFUSE) {
        conn_end(conn, CLOSE_DIRECT_REFUSED);
        return CONN_DEAD;
    }
    return conn_start_proxy(conn);
}

static enum conn_state decide_direct(struct conn *conn) {
    struct worker *worker = conn->worker;
    if (conn->redirected) {
        const struct config *config = conn->snapshot->config;
        if (config_is_own_port(config, conn->destination.port)) {
            conn_end(conn, CLOSE_OWN_PORT);
            return CONN_DEAD;
        }
        if (!own_addresses_contains(worker->own, &conn->destination, clock_mono_ms())) {
            conn_end(conn, CLOSE_FOREIGN_DESTINATION);
            return CONN_DEAD;
        }
    }
    return conn->snapshot->config->kubernetes_services ? conn_start_asked(conn)
                                                       : conn_admit_direct(conn);
}

static enum conn_state decide_stream(struct conn *conn) {
    const struct edge_port *port = conn_edge_port(conn);
    struct netaddr to = conn->via;
    return port != NULL && port->options->edge.is_http ? conn_start_http(conn, &to)
                                                       : conn_start_dial(conn, &to);
}

enum conn_state conn_decide(struct conn *conn) {
    switch (conn->kind) {
    case CONN_OUTBOUND:
        return decide_outbound(conn);
    case CONN_INBOUND_DIRECT:
        return decide_direct(conn);
    case CONN_INBOUND_STREAM:
        return decide_stream(conn);
    }
    return CONN_DEAD;
}

// A dial of ours that the redirect brought back. Ends it.
static bool is_loop(struct conn *conn) {
    struct worker *worker = conn->worker;
    if (!worker->shared->may_loop ||
        atomic_load_explicit(&worker->shared->dials[conn->source.port], memory_order_relaxed) ==
            0 ||
        !own_addresses_contains(worker->own, &conn->source, clock_mono_ms())) {
        return false;
    }
    conn_end(conn, CLOSE_LOOP);
    return true;
}

// Where an accepted connection was going. False: ended already.
static bool find_destination(struct conn *conn, const struct listener *listener, int fd) {
    switch (listener->kind) {
    case LISTENER_EXPLICIT:
        conn->listener = config_outbound_listener(conn->snapshot->config, &listener->addr);
        conn->destination = listener->destination;
        return true;
    case LISTENER_PORT:
        socket_local_address(fd, &conn->destination);
        conn->destination.port = listener->port;
        return true;
    default:
        conn->redirected = true;
        if (socket_original_destination(fd, &conn->source, &conn->destination)) {
            return !is_loop(conn);
        }
        socket_local_address(fd, &conn->destination);
        conn_end(conn, CLOSE_NO_ORIGINAL_DESTINATION);
        return false;
    }
}

void conn_accept(struct worker *worker, const struct listener *listener, int fd,
                 const struct netaddr *peer) {
    bool outbound = listener->kind == LISTENER_OUTBOUND || listener->kind == LISTENER_EXPLICIT;
    struct conn *conn = conn_new(worker, outbound ? CONN_OUTBOUND : CONN_INBOUND_DIRECT, peer);
    if (conn == NULL) {
        socket_reset(fd);
        fd_budget_give(&worker->shared->fds, 2);
        return;
    }
    conn->fds = 2;
    conn->near = conn_leg_socket(conn, &conn->near_leg.socket, fd, false);
    if (find_destination(conn, listener, fd)) {
        conn_step(conn);
    }
}

// --- streams of inbound tunnels --------------------------------------------------------------

// Each returns the status to refuse the request with, having ended the connection; 0: go on.

// Afterwards `conn->via` is where to dial.
static int judge_target(struct conn *conn, const struct h2_request *request) {
    struct err err = {0};
    if (!request->is_connect) {
        conn_end_why(conn, CLOSE_BAD_TARGET, "the request's method is not CONNECT");
        return 400;
    }
    if (!connect_authority_parse(&conn->destination, request->authority, &err)) {
        conn_end_why(conn, CLOSE_BAD_TARGET, "%s", err.msg);
        return 400;
    }
    bool own = own_addresses_contains(conn->worker->own, &conn->destination, clock_mono_ms());
    const char *why =
        policy_connect_target(conn->snapshot->config, &conn->destination, own, &conn->via);
    if (why != NULL) {
        char text[NETADDR_TEXT_MAX];
        conn_end_why(conn, CLOSE_BAD_TARGET, "CONNECT %s: %s",
                     netaddr_format(&conn->destination, text), why);
        return 400;
    }
    return 0;
}

static int judge_peer(struct conn *conn, const struct tunnel *tunnel) {
    enum close_reason missing = CLOSE_NONE;
    struct tls_context *context = snapshot_context(conn->snapshot, clock_wall_s(), &missing);
    const struct peer *peer = tunnel_peer(tunnel);
    if (context == NULL || peer == NULL) {
        conn_end(conn, missing);
        return 503;
    }
    if (clock_wall_s() >= tunnel_not_after(tunnel)) {
        conn_end_why(conn, CLOSE_PEER_IDENTITY,
                     "the certificate of %s or our own has expired since this tunnel was opened; "
                     "the peer has to open another",
                     peer->id.text);
        return 401;
    }
    struct authorization_decision decision = policy_authorize(
        conn->snapshot->config, identity_trust_domain(tls_context_identity(context)), &peer->id,
        &conn->source, conn->destination.port);
    counter_add(
        &conn->worker->counters.metrics[decision.allow ? METRIC_AUTHORIZED : METRIC_UNAUTHORIZED],
        1);
    if (decision.allow) {
        return 0;
    }
    if (decision.rule >= 0) {
        conn_end_why(conn, CLOSE_UNAUTHORIZED, "inbound.authorization[%d] denies %s on port %u",
                     decision.rule, peer->id.text, conn->destination.port);
    } else {
        conn_end_why(conn, CLOSE_UNAUTHORIZED,
                     "no rule of inbound.authorization allows %s on port %u", peer->id.text,
                     conn->destination.port);
    }
    return 401;
}

void conn_request(struct worker *worker, struct tunnel *tunnel, struct h2_stream *stream,
                  const struct h2_request *request) {
    struct conn *conn = conn_new(worker, CONN_INBOUND_STREAM, &tunnel->peer_addr);
    if (conn == NULL || !fd_budget_take(&worker->shared->fds, 1)) {
        if (!h2_stream_respond(stream, 503)) {
            h2_stream_reset(stream, H2_REFUSED_STREAM);
        }
        tunnel_mark_dirty(tunnel);
        if (conn != NULL) {
            conn_end_why(conn, CLOSE_LIMIT, "no descriptor is left to dial the application");
        }
        return;
    }
    conn->fds = 1;
    leg_stream_adopt(&conn->near_leg.stream, tunnel, stream, (struct leg_owner){conn_wake, conn});
    int status = judge_target(conn, request);
    status = status == 0 ? judge_peer(conn, tunnel) : status;
    if (status != 0) {
        leg_stream_respond(&conn->near_leg.stream, status);
        return;
    }
    conn->near = &conn->near_leg.stream.leg;
    conn_audit_open(conn);
    conn_audit_auth(conn, true);
    conn_step(conn);
}
