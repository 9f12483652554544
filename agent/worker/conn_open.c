// Getting the far side of a connection: a stream of a tunnel, or a socket, plain or with TLS.
#include <errno.h>
#include <string.h>

#include "agent/net/socket.h"
#include "agent/worker/conn_internal.h"
#include "agent/worker/worker.h"
#include "base/clock.h"

#define TUNNEL_TRIES 3
// How long "nobody answers on the tunnel port" is believed.
#define PLAINTEXT_FOR_MS 30000
#define UNREACHABLE_FOR_MS 500

// --- tunnels -------------------------------------------------------------------------------------

enum conn_state conn_not_in_mesh(struct conn *conn, enum close_reason reason, const char *why) {
    bool plaintext = conn->snapshot->config->outbound.mesh_plaintext_when_unreachable;
    struct destinations *known = conn->worker->shared->destinations;
    int64_t now = clock_wall_ms();
    struct destination_miss miss = {.plaintext = plaintext,
                                    .why = why,
                                    .for_ms = plaintext ? PLAINTEXT_FOR_MS : UNREACHABLE_FOR_MS};
    destinations_miss(known, &conn->destination, &miss, now);
    // It may have been pinned meanwhile: a pin wins over this miss.
    if (plaintext && !destinations_is_pin(destinations_look_up(known, &conn->destination, now))) {
        conn->decision.action = OUTBOUND_PLAIN;
        conn->via = (struct netaddr){0};
        return conn_start_dial(conn, &conn->destination);
    }
    if (conn_try_next_address(conn)) {
        return CONN_NEW;
    }
    conn_end_why(conn, reason, "%s", why);
    return CONN_DEAD;
}

static enum conn_state tunnel_failed(struct conn *conn, const struct tunnel_failure *failure) {
    if (conn->decision.action == OUTBOUND_TRY_MESH && failure->unreachable) {
        return conn->snapshot->config->kubernetes_services
                   ? conn_start_locate(conn)
                   : conn_not_in_mesh(conn, failure->reason, failure->detail);
    }
    if (failure->unreachable && conn_try_next_address(conn)) {
        return CONN_NEW;
    }
    conn_end_why(conn, failure->reason, "%s", failure->detail);
    return CONN_DEAD;
}

static enum conn_state open_stream(struct conn *conn, struct tunnel *tunnel) {
    struct leg_stream *leg = &conn->far_leg.stream;
    if (!leg_stream_open(leg, tunnel, &conn->destination, &conn->source,
                         (struct leg_owner){conn_wake, conn})) {
        conn_end(conn, CLOSE_NO_MEMORY);
        return CONN_DEAD;
    }
    conn->far = &leg->leg;
    fd_budget_give(&conn->worker->shared->fds, conn->fds - 1); // a stream needs no second one
    conn->fds = 1;
    return CONN_RELAY;
}

static void on_tunnel(struct tunnel_waiter *waiter, struct tunnel *tunnel,
                      const struct tunnel_failure *failure) {
    struct conn *conn = LIST_ENTRY(waiter, struct conn, waiter);
    if (failure == NULL) {
        conn->tries -= tunnel->streams_total > 0; // others were first: no refusal of the peer's
        conn_step(conn);
        return;
    }
    enum conn_state next = tunnel_failed(conn, failure);
    if (conn->state != CONN_DEAD) {
        conn->state = next;
        conn_step(conn);
    }
}

enum conn_state conn_start_tunnel(struct conn *conn) {
    conn->via = netaddr_with_port(&conn->destination, conn->snapshot->config->outbound.mesh_port);
    return CONN_TUNNEL;
}

enum conn_state conn_step_tunnel(struct conn *conn) {
    if (list_is_linked(&conn->waiter.node)) {
        return CONN_TUNNEL;
    }
    struct worker *worker = conn->worker;
    int64_t now = clock_wall_s();
    enum close_reason missing = CLOSE_NONE;
    // The newest identity, not the one at accept: the connection may have waited for it.
    struct tls_context *context = snapshot_context(worker->snapshot, now, &missing);
    if (context == NULL) {
        conn_end(conn, missing);
        return CONN_DEAD;
    }
    struct tunnel_target target = {.addr = conn->via,
                                   .context = context,
                                   .config = conn->snapshot->config,
                                   .peers = conn->decision.peers};
    struct tunnel_failure failure = {.reason = CLOSE_TUNNEL_LOST,
                                     .detail = "the peer closes its tunnels at once"};
    bool reused = false;
    struct tunnel *tunnel = conn->tries++ < TUNNEL_TRIES
                                ? pool_get(&worker->pool, &target, now, &reused, &failure)
                                : NULL;
    if (tunnel == NULL) {
        return tunnel_failed(conn, &failure);
    }
    if (tunnel->state == TUNNEL_READY) {
        counter_add(&worker->counters.metrics[METRIC_TUNNEL_REUSED], reused ? 1 : 0);
        return open_stream(conn, tunnel);
    }
    conn->waiter.done = on_tunnel;
    tunnel_wait(tunnel, &conn->waiter);
    return CONN_TUNNEL;
}

// --- dialling ------------------------------------------------------------------------------------

static void on_dial_io(struct ev_loop *loop UNUSED, ev_io *io, int events UNUSED) {
    conn_step(io->data);
}

void conn_stop_dial(struct conn *conn) {
    ev_io_stop(conn->worker->loop, &conn->dial_io);
    socket_close(conn->dialling_fd);
    conn->dialling_fd = -1;
    if (conn->dial_port != 0) {
        _Atomic uint16_t *dials = &conn->worker->shared->dials[conn->dial_port];
        atomic_fetch_sub_explicit(dials, 1, memory_order_relaxed);
        conn->dial_port = 0;
    }
}

static enum conn_state dial_failed(struct conn *conn, const struct netaddr *to, int errnum) {
    char text[NETADDR_TEXT_MAX];
    netaddr_format(to, text);
    conn_stop_dial(conn);
    if (conn->pod_answer != NULL) {
        return conn_locate_failed(conn, strerror(errnum));
    }
    if (conn->kind == CONN_OUTBOUND && conn_try_next_address(conn)) {
        return CONN_NEW;
    }
    if (conn->kind == CONN_OUTBOUND) {
        conn_end_why(conn, errnum == ETIMEDOUT ? CLOSE_CONNECT_TIMEOUT : CLOSE_CONNECT_FAILED,
                     "cannot connect to %s: %s", text, strerror(errnum));
        return CONN_DEAD;
    }
    bool stream = conn->kind == CONN_INBOUND_STREAM;
    conn->near = stream ? NULL : conn->near; // the answer is a status, not a reset
    conn_end_why(conn, CLOSE_APP_UNREACHABLE, "cannot connect to the application at %s: %s", text,
                 strerror(errnum));
    if (stream) {
        leg_stream_respond(&conn->near_leg.stream, 503);
    }
    return CONN_DEAD;
}

void conn_on_dial_timeout(struct conn *conn) {
    struct netaddr to = conn->via;
    enum conn_state next = dial_failed(conn, &to, ETIMEDOUT);
    if (next != CONN_DEAD) {
        conn->state = next;
        conn_step(conn);
    }
}

static void note_dial(struct conn *conn) {
    struct worker_shared *shared = conn->worker->shared;
    struct netaddr local;
    if (shared->may_loop && conn->kind == CONN_OUTBOUND &&
        socket_local_address(conn->dialling_fd, &local)) {
        conn->dial_port = local.port;
        atomic_fetch_add_explicit(&shared->dials[local.port], 1, memory_order_relaxed);
    }
}

enum conn_state conn_start_dial(struct conn *conn, const struct netaddr *to) {
    int errnum = 0;
    switch (socket_connect(to, &conn->dialling_fd, &errnum)) {
    case SOCKET_OK:
        break;
    case SOCKET_EXHAUSTED:
        return dial_failed(conn, to, EMFILE);
    default:
        return dial_failed(conn, to, errnum);
    }
    conn->via = *to;
    note_dial(conn);
    ev_init(&conn->dial_io, on_dial_io);
    ev_io_set(&conn->dial_io, conn->dialling_fd, EV_WRITE);
    conn->dial_io.data = conn;
    ev_io_start(conn->worker->loop, &conn->dial_io);
    return CONN_DIAL;
}

static bool accept_server(void *arg, const struct peer *peer) {
    const struct conn *conn = arg;
    struct tls_context *context = tls_stream_context(conn->far_leg.tls.link.stream);
    if (conn->decision.rule->server_name != NULL) {
        return conn->decision.peers->num == 0 ||
               policy_peer_is_acceptable(conn->decision.peers, span_of(NULL, 0), &peer->id);
    }
    struct span own = identity_trust_domain(tls_context_identity(context));
    return policy_peer_is_acceptable(conn->decision.peers, own, &peer->id);
}

static struct tls_stream *new_mutual(struct conn *conn, struct tls_context *context) {
    const struct outbound_rule *rule = conn->decision.rule;
    struct tls_expectation expect = {.accept = accept_server,
                                     .arg = conn,
                                     .server_name = rule->server_name,
                                     .alpn = edge_set_alpn(conn->snapshot->edges, rule),
                                     .needs_tls_1_3 = rule->min_version == TLS_VERSION_1_3,
                                     .addr = &conn->via,
                                     .peers = conn->decision.peers->items,
                                     .num_peers = conn->decision.peers->num};
    return tls_stream_new(context, TLS_MUTUAL_CLIENT, &expect);
}

// By the lists of the snapshot that the rule is of.
static struct tls_stream *new_to_server(struct conn *conn, struct tls_context *context) {
    const struct edge_app *origin = edge_set_origin(conn->snapshot->edges, conn->decision.rule);
    struct edge_app_how how = {.identity = context == NULL ? NULL : tls_context_identity(context),
                               .host = conn->decision.host,
                               .addr = &conn->via};
    conn->shown_until_s =
        context == NULL ? 0 : svid_not_after(identity_svid(tls_context_identity(context)));
    return origin == NULL ? NULL : edge_app_connect(origin, &how);
}

static enum conn_state start_tls(struct conn *conn, int fd) {
    enum close_reason missing = CLOSE_NO_MEMORY;
    bool shows_identity = config_rule_shows_identity(conn->decision.rule);
    struct tls_context *context =
        shows_identity ? snapshot_context(conn->worker->snapshot, clock_wall_s(), &missing) : NULL;
    bool ok = context != NULL || !shows_identity;
    struct tls_stream *stream = !ok ? NULL
                                : conn->decision.action == OUTBOUND_TO_SERVER
                                    ? new_to_server(conn, context)
                                    : new_mutual(conn, context);
    if (stream == NULL) {
        socket_close(fd);
        conn_end(conn, missing);
        return CONN_DEAD;
    }
    conn->far = conn_leg_tls(conn, &conn->far_leg.tls, stream, fd);
    return CONN_HANDSHAKE;
}

enum conn_state conn_far_is_open(struct conn *conn) {
    if (conn->kind == CONN_INBOUND_STREAM) {
        leg_stream_respond(&conn->near_leg.stream, 200);
    }
    return CONN_RELAY;
}

enum conn_state conn_step_dial(struct conn *conn) {
    if (conn->kind == CONN_INBOUND_STREAM && conn->near_leg.stream.failed) {
        conn_end(conn, conn->near->failure); // the peer gave up: stop dialling
        return CONN_DEAD;
    }
    int errnum = socket_connect_error(conn->dialling_fd);
    if (errnum == EINPROGRESS) {
        return CONN_DIAL;
    }
    ev_io_stop(conn->worker->loop, &conn->dial_io);
    if (errnum != 0) {
        struct netaddr to = conn->via;
        return dial_failed(conn, &to, errnum);
    }
    if (conn->pod_answer != NULL) {
        return conn_ask(conn);
    }
    int fd = conn->dialling_fd;
    conn->dialling_fd = -1;
    if (conn->kind == CONN_OUTBOUND && (conn->decision.action == OUTBOUND_TO_MUTUAL ||
                                        conn->decision.action == OUTBOUND_TO_SERVER)) {
        return start_tls(conn, fd);
    }
    if (!conn_greet_application(conn, fd)) {
        socket_close(fd);
        conn_end_why(conn, CLOSE_PROXY_HEADER, "the application cannot be told who the client is");
        return CONN_DEAD;
    }
    const struct edge_port *edge = conn_edge_port(conn);
    if (edge != NULL && edge->app.ssl != NULL) {
        return conn_start_app_tls(conn, fd);
    }
    conn->far = conn_leg_socket(conn, &conn->far_leg.socket, fd, true);
    return conn_far_is_open(conn);
}

static enum conn_state tls_opened(struct conn *conn, const struct tls_stream *stream) {
    struct worker *worker = conn->worker;
    bool resumed = tls_stream_is_resumed(stream);
    enum metric metric = resumed ? METRIC_HANDSHAKE_OUT_RESUMED : METRIC_HANDSHAKE_OUT_OK;
    counter_add(&worker->counters.metrics[metric], 1);
    conn->verified_at_s = clock_wall_s();
    conn->state = CONN_RELAY;
    bool is_judged = conn->decision.action == OUTBOUND_TO_MUTUAL
                         ? worker->snapshot->context != tls_stream_context(stream)
                         : conn->shown_until_s != 0;
    if (is_judged) {
        worker_trust_judge(conn); // verified by what was in force when it began
    }
    return conn->state;
}

enum conn_state conn_step_handshake(struct conn *conn) {
    struct leg_tls *leg = &conn->far_leg.tls;
    const struct tls_stream *stream = leg->link.stream;
    char text[NETADDR_TEXT_MAX];
    switch (leg_tls_handshake(leg)) {
    case TLS_AGAIN:
        return CONN_HANDSHAKE;
    case TLS_OK:
        return tls_opened(conn, stream);
    default:
        break;
    }
    enum verify_result refusal = tls_stream_refusal(stream);
    bool ours = refusal != VERIFY_OK || tls_stream_was_not_accepted(stream);
    counter_add(&conn->worker->counters
                     .metrics[ours ? METRIC_HANDSHAKE_OUT_REFUSED : METRIC_HANDSHAKE_OUT_FAILED],
                1);
    enum close_reason reason = refusal != VERIFY_OK                  ? CLOSE_PEER_IDENTITY
                               : tls_stream_was_not_accepted(stream) ? CLOSE_PEER_NOT_ACCEPTED
                                                                     : CLOSE_TLS_FAILED;
    if (refusal != VERIFY_OK) {
        counter_add(&conn->worker->counters.refused[OUTBOUND][refusal], 1);
    }
    const char *why = tls_stream_error(stream);
    conn_end_why(conn, reason, "TLS with %s: %s", netaddr_format(&conn->via, text),
                 why[0] != '\0' ? why : "the server closed the connection during the handshake");
    return CONN_DEAD;
}
