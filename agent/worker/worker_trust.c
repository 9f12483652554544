// Which open tunnels and TLS connections trust still allows: asked when the identity or the bundles
// have changed, when a handshake ends that began before that, and once a second for what expires.
#include <string.h>

#include "agent/worker/worker.h"
#include "base/clock.h"

static const char *const EXPIRED = "a certificate has expired and identity.closeAtExpiry is true";

static struct identity *identity_of(const struct snapshot *snapshot) {
    return snapshot->context == NULL ? NULL : tls_context_identity(snapshot->context);
}

// Whether what was verified at `then_s` (Unix seconds) may stay open. An identity that has expired
// leaves it so, one that was withdrawn does not.
static bool may_keep(const struct snapshot *snapshot, const struct tls_stream *stream,
                     int64_t then_s, struct tunnel_failure *failure) {
    *failure = (struct tunnel_failure){.reason = CLOSE_AUTHORIZATION_LOST};
    struct identity *identity = identity_of(snapshot);
    if (identity == NULL) {
        bool expired = snapshot->state == IDENTITY_EXPIRED;
        failure->reason = expired ? CLOSE_IDENTITY_EXPIRED : CLOSE_IDENTITY_WITHDRAWN;
        return expired;
    }
    struct err err = {0};
    if (stream == NULL || tls_stream_reverify(stream, identity, then_s, &err) == VERIFY_OK) {
        return true;
    }
    memcpy(failure->detail, err.msg, sizeof(failure->detail) - 1);
    return false;
}

static void cut(struct worker *worker, struct tunnel *tunnel,
                const struct tunnel_failure *failure) {
    enum metric metric = failure->reason == CLOSE_AUTHORIZATION_LOST ? METRIC_TUNNELS_CUT_UNTRUSTED
                         : failure->reason == CLOSE_IDENTITY_WITHDRAWN
                             ? METRIC_TUNNELS_CUT_WITHDRAWN
                             : METRIC_TUNNELS_CUT_EXPIRED;
    counter_add(&worker->counters.metrics[metric], tunnel->state >= TUNNEL_READY ? 1 : 0);
    tunnel_fail(tunnel, failure);
}

static void judge_tunnel(struct worker *worker, struct tunnel *tunnel) {
    const struct snapshot *snapshot = worker->snapshot;
    const struct tls_stream *stream = tunnel_peer(tunnel) == NULL ? NULL : tunnel->link.stream;
    struct tunnel_failure failure;
    if (!may_keep(snapshot, stream, tunnel->verified_at_s, &failure)) {
        cut(worker, tunnel, &failure);
    } else if (tls_context_identity(tunnel->context) != identity_of(snapshot)) {
        tunnel_retire(tunnel);
    }
}

void worker_trust_judge(struct conn *conn) {
    const struct snapshot *snapshot = conn->worker->snapshot;
    const struct tls_stream *stream = conn_mutual_stream(conn);
    struct tunnel_failure failure;
    // The lists that judged the server are for new connections; what it was shown can be withdrawn.
    if (conn_shows_identity(conn) && snapshot->state == IDENTITY_WITHDRAWN) {
        conn_end(conn, CLOSE_IDENTITY_WITHDRAWN);
        return;
    }
    if (stream != NULL && !may_keep(snapshot, stream, conn->verified_at_s, &failure)) {
        conn_end_why(conn, failure.reason, "%s", failure.detail);
    }
}

void worker_trust_apply(struct worker *worker) {
    LIST_FOR_EACH(&worker->tunnels.tunnels, it) {
        judge_tunnel(worker, LIST_ENTRY(it, struct tunnel, node));
    }
    LIST_FOR_EACH(&worker->conns, it) {
        worker_trust_judge(LIST_ENTRY(it, struct conn, node));
    }
}

void worker_trust_opened(struct worker *worker, struct tunnel *tunnel) {
    if (tls_context_identity(tunnel->context) != identity_of(worker->snapshot)) {
        judge_tunnel(worker, tunnel); // verified by what was in force when it began
    }
    if (worker->draining && tunnel->direction == INBOUND) {
        tunnel_retire(tunnel);
    }
}

// --- what expires --------------------------------------------------------------------------------

static void expire_tunnels(struct worker *worker, int64_t now, bool hard) {
    LIST_FOR_EACH(&worker->tunnels.tunnels, it) {
        struct tunnel *tunnel = LIST_ENTRY(it, struct tunnel, node);
        if (tunnel->state < TUNNEL_READY || now < tunnel_not_after(tunnel)) {
            continue;
        }
        if (hard) {
            struct tunnel_failure failure = {.reason = CLOSE_IDENTITY_EXPIRED};
            memcpy(failure.detail, EXPIRED, strlen(EXPIRED));
            cut(worker, tunnel, &failure);
        } else {
            tunnel_retire(tunnel);
        }
    }
}

static int64_t not_after_of(const struct tls_stream *stream) {
    struct identity *own = tls_context_identity(tls_stream_context(stream));
    int64_t end = svid_not_after(identity_svid(own));
    const struct peer *peer = tls_stream_peer(stream);
    return peer != NULL && peer->not_after < end ? peer->not_after : end;
}

static void expire_connections(struct worker *worker, int64_t now) {
    LIST_FOR_EACH(&worker->conns, it) {
        struct conn *conn = LIST_ENTRY(it, struct conn, node);
        const struct tls_stream *stream = conn_mutual_stream(conn);
        if ((stream != NULL && now >= not_after_of(stream)) ||
            (conn_shows_identity(conn) && now >= conn->shown_until_s)) {
            conn_end_why(conn, CLOSE_IDENTITY_EXPIRED, "%s", EXPIRED);
        }
    }
}

void worker_trust_tick(struct worker *worker) {
    int64_t now = clock_wall_s();
    bool hard = worker->snapshot->config->identity.close_at_expiry;
    expire_tunnels(worker, now, hard);
    if (hard) {
        expire_connections(worker, now);
    }
}
