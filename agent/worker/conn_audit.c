// What the audit hears of an inbound connection (status.audit): that it came, who it is, requests
// that were refused, its end. Whether it is audited is decided when it comes.
#include "agent/audit/audit.h"
#include "agent/worker/conn_internal.h"
#include "agent/worker/worker.h"
#include "base/clock.h"

static struct audit *audit_of(const struct conn *conn) {
    return conn->worker->shared->audit;
}

void conn_audit_admit(struct conn *conn) {
    conn->is_audited = conn->kind != CONN_OUTBOUND && audit_is_on(audit_of(conn));
}

static struct audit_record record_of(const struct conn *conn, enum audit_event event) {
    return (struct audit_record){
        .event = event, .id = conn->id, .source = conn->source, .destination = conn->destination};
}

void conn_audit_open(struct conn *conn) {
    if (!conn->is_audited || conn->audit_opened) {
        return;
    }
    struct audit_record record = record_of(conn, AUDIT_NEW_CONN);
    record.transport = conn->kind == CONN_INBOUND_STREAM ? "tunnel" : "direct";
    conn->audit_opened = true;
    audit_put(audit_of(conn), &record);
}

static void describe_stream(struct audit_record *record, const struct tls_stream *stream) {
    if (stream != NULL) {
        record->tls_version = tls_stream_version(stream);
        record->tls_cipher = tls_stream_cipher(stream);
    }
}

// Where the request is what gets refused, the handshake has let pass what it lacks.
static enum verify_result verdict_on(const struct conn *conn) {
    const struct edge_client *client = edge_session_client(conn->session);
    if (client->result != VERIFY_OK) {
        return client->result;
    }
    bool lacks = edge_session_rules(conn->session)->auth == EDGE_AUTH_REQUIRED;
    return lacks && !client->is_presented ? VERIFY_NO_CERTIFICATE
                                          : tls_stream_refusal(conn->near_leg.tls.link.stream);
}

static void describe_client(struct audit_record *record, const struct conn *conn) {
    const struct edge_client *client = edge_session_client(conn->session);
    const struct tls_stream *stream = conn->near_leg.tls.link.stream;
    bool is_workload = client->is_verified && client->peer.id.len > 0;
    enum verify_result result = verdict_on(conn);
    record->has_peer = client->is_presented;
    record->is_verified = client->is_verified;
    record->username = client->is_verified ? client->common_name : NULL;
    record->identity = is_workload           ? client->peer.id.text
                       : client->is_verified ? client->subject
                                             : NULL;
    record->peer_subject = client->subject;
    record->peer_serial = client->is_presented ? client->peer.serial : NULL;
    record->server_name = edge_session_server_name(conn->session);
    record->verify_error = result == VERIFY_OK ? NULL : verify_result_name(result);
    describe_stream(record, stream);
}

static void describe_peer(struct audit_record *record, const struct tunnel *tunnel) {
    const struct peer *peer = tunnel_peer(tunnel);
    describe_stream(record, tunnel->link.stream);
    if (peer != NULL) {
        record->has_peer = true;
        record->is_verified = true;
        record->identity = peer->id.text;
        record->peer_serial = peer->serial;
    }
}

void conn_audit_auth(struct conn *conn, bool is_accepted) {
    if (!conn->is_audited) {
        return;
    }
    struct audit_record record = record_of(conn, AUDIT_AUTH);
    const struct tunnel *tunnel = conn_tunnel(conn);
    record.status = is_accepted ? "accepted" : "refused";
    if (conn->session != NULL) {
        describe_client(&record, conn);
    } else if (tunnel != NULL) {
        describe_peer(&record, tunnel);
    }
    if (!is_accepted) {
        record.rule = conn->edge_rule;
        record.detail = conn->detail;
    }
    audit_put(audit_of(conn), &record);
}

void conn_audit_request(struct conn *conn, const struct audit_record *refusal) {
    if (conn->is_audited) {
        struct audit_record record = record_of(conn, AUDIT_REQUEST_REFUSED);
        record.reason = refusal->reason;
        record.rule = refusal->rule;
        record.detail = refusal->detail;
        record.http_status = refusal->http_status;
        audit_put(audit_of(conn), &record);
    }
}

// A stream that was refused at once was not said to have come yet, nor whose it was.
static void say_beginning(struct conn *conn) {
    bool is_new = conn->is_audited && !conn->audit_opened;
    conn_audit_open(conn);
    if (is_new && conn_tunnel(conn) != NULL) {
        conn_audit_auth(conn, false);
    }
}

void conn_audit_close(struct conn *conn) {
    if (!conn->is_audited) {
        return;
    }
    say_beginning(conn);
    struct audit_record record = record_of(conn, AUDIT_CLOSE_CONN);
    record.reason = close_reason_name(conn->reason);
    record.rule = conn->edge_rule;
    record.detail = close_reason_is_error(conn->reason) && conn->detail == NULL
                        ? close_reason_sentence(conn->reason)
                        : conn->detail;
    record.bytes_sent = conn_bytes_sent(conn);
    record.bytes_received = conn_bytes_received(conn);
    record.duration_ms = clock_mono_ms() - conn->opened_mono_ms;
    audit_put(audit_of(conn), &record);
}

void conn_audit_tunnel(struct worker *worker, const struct tunnel *tunnel,
                       const struct tunnel_failure *failure) {
    if (!audit_is_on(worker->shared->audit)) {
        return;
    }
    struct audit_record record = {.event = AUDIT_AUTH,
                                  .source = tunnel->peer_addr,
                                  .transport = "tunnel",
                                  .status = "refused",
                                  .reason = close_reason_name(failure->reason),
                                  .detail = failure->detail};
    describe_stream(&record, tunnel->link.stream);
    audit_put(worker->shared->audit, &record);
}
