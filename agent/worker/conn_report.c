// What is said of a connection: the log line and the refusal at its end.
#include <string.h>

#include "agent/worker/conn_internal.h"
#include "agent/worker/worker.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

static const char *own_id(const struct conn *conn) {
    struct tls_context *context = conn->snapshot->context;
    return context == NULL ? NULL : svid_id(identity_svid(tls_context_identity(context)))->text;
}

// A subject that was not verified is a claim.
static void write_subject(const struct edge_client *client, struct log_line *line) {
    if (client != NULL && client->subject[0] != '\0') {
        log_text(line, client->is_verified ? "peer_subject" : "claimed_subject", client->subject);
    }
}

// What TLS at a port adds to the line.
static void write_edge(const struct conn *conn, struct log_line *line) {
    const struct edge_client *client = conn_edge_client(conn);
    const char *name = client == NULL ? "" : edge_session_server_name(conn->session);
    log_text(line, "edge_rule", conn->edge_rule);
    log_text(line, "server_name", name[0] == '\0' ? NULL : name);
    write_subject(client, line);
}

// Failures cost whoever makes them little; what ended well is said each time.
static bool may_say(const struct conn *conn, enum log_level level) {
    return level != LOG_WARN ||
           log_quota_take(&conn->worker->closed_lines[conn->reason], clock_mono_ms());
}

static void write_line(const struct conn *conn) {
    const struct peer *peer = conn_peer(conn);
    enum log_level level = close_reason_is_error(conn->reason) ? LOG_WARN
                           : conn->reason == CLOSE_TOLD        ? LOG_DEBUG
                                                               : LOG_INFO;
    const struct tunnel *tunnel = conn_tunnel(conn);
    struct log_line line;
    char text[NETADDR_TEXT_MAX];
    log_begin(&line, level, "connection_closed");
    if (!line.enabled || !may_say(conn, level)) {
        return; // what would be written has its price
    }
    log_text(&line, "direction", direction_name(conn_direction(conn)));
    log_text(&line, "reason", close_reason_name(conn->reason));
    log_text(&line, "src", netaddr_format(&conn->source, text));
    log_text(&line, "dst", netaddr_format(&conn->destination, text));
    log_text(&line, "via", netaddr_format(&conn->via, text));
    if (conn->service.family != NETADDR_NONE) {
        log_text(&line, "service", netaddr_format(&conn->service, text));
    }
    log_text(&line, "security", conn_security(conn));
    write_edge(conn, &line);
    log_text(&line, "own_id", own_id(conn));
    log_text(&line, "peer_id", peer == NULL || peer->id.len == 0 ? NULL : peer->id.text);
    log_text(&line, "peer_serial", peer == NULL ? NULL : peer->serial);
    log_u64(&line, "bytes_sent", conn_bytes_sent(conn));
    log_u64(&line, "bytes_received", conn_bytes_received(conn));
    log_i64(&line, "duration_ms", clock_mono_ms() - conn->opened_mono_ms);
    if (tunnel != NULL) {
        log_u64(&line, "tunnel", tunnel->id);
    }
    log_text(&line, "rule", conn->decision.rule == NULL ? NULL : conn->decision.rule->name);
    log_text(&line, "detail", conn->detail);
    if (conn->detail == NULL && level == LOG_WARN) {
        log_text(&line, "detail", close_reason_sentence(conn->reason));
    }
    log_end(&line);
}

static void add_refusal(const struct conn *conn, enum close_reason reason, const char *rule,
                        const char *detail) {
    const struct edge_client *client = conn_edge_client(conn);
    const struct peer *peer = conn_peer(conn);
    struct refusal_view view = {
        .at_ms = clock_wall_ms(),
        .direction = conn_direction(conn),
        .reason = reason,
        .source = conn->source,
        .destination = conn->destination,
    };
    text_copy(view.peer_id, sizeof(view.peer_id), peer == NULL ? "" : peer->id.text);
    text_copy(view.peer_subject, sizeof(view.peer_subject), client == NULL ? "" : client->subject);
    text_copy(view.rule, sizeof(view.rule), rule);
    text_copy(view.detail, sizeof(view.detail), detail);
    refusals_add(conn->worker->shared->refusals, &view);
}

// Which key of inbound.ports[] a request was refused by. The three waits for an application have
// one reason; the sentence (conn_app.c) names the key, but for the one of connecting, which has
// none.
static const char *rule_of(enum http_reason reason, const char *why) {
    static const char *const RULES[] = {
        [HTTP_REASON_NONE] = "",
        [HTTP_REASON_MALFORMED] = "protocol",
        [HTTP_REASON_TOO_LARGE] = "protocol",
        [HTTP_REASON_PLAINTEXT] = "redirectToHttps",
        [HTTP_REASON_HOST] = "checkHostMatchesSni",
        [HTTP_REASON_NO_CERTIFICATE] = "clientAuth",
        [HTTP_REASON_CERTIFICATE] = "clientCerts",
        [HTTP_REASON_NO_RULE] = "httpRules",
        [HTTP_REASON_APP_UNREACHABLE] = "deliver",
        [HTTP_REASON_APP_ANSWER] = "deliver",
        [HTTP_REASON_APP_TIMEOUT] = "deliver",
        [HTTP_REASON_CLIENT_TIMEOUT] = "readTimeout",
        [HTTP_REASON_NO_MEMORY] = "",
        [HTTP_REASON_COUNT] = "sendTimeout",
    };
    size_t row = reason;
    if (reason == HTTP_REASON_APP_TIMEOUT && strstr(why, "Timeout") != NULL) {
        row = strstr(why, "sendTimeout") != NULL ? HTTP_REASON_COUNT : HTTP_REASON_CLIENT_TIMEOUT;
    }
    return RULES[row];
}

static void write_request_line(const struct conn *conn, enum http_reason reason, int status,
                               const char *why) {
    const struct peer *peer = conn_peer(conn);
    struct log_line line;
    char text[NETADDR_TEXT_MAX];
    log_begin(&line, LOG_WARN, "request_refused");
    log_text(&line, "reason", http_reason_name(reason));
    log_text(&line, "src", netaddr_format(&conn->source, text));
    log_text(&line, "dst", netaddr_format(&conn->destination, text));
    log_i64(&line, "status", status);
    log_text(&line, "edge_rule", rule_of(reason, why));
    write_subject(conn_edge_client(conn), &line);
    log_text(&line, "peer_id", peer == NULL || peer->id.len == 0 ? NULL : peer->id.text);
    log_text(&line, "detail", why);
    log_end(&line);
}

void conn_report_request(struct conn *conn, enum http_reason reason, int status, const char *why) {
    struct counters *counters = &conn->worker->counters;
    if (log_quota_take(&conn->worker->request_lines[reason], clock_mono_ms())) {
        write_request_line(conn, reason, status, why);
    }
    // The rows of metric.def stand in the order of http_reason.def.
    counter_add(&counters->metrics[METRIC_HTTP_REFUSED_MALFORMED + (int)reason - 1], 1);
    add_refusal(conn, CLOSE_HTTP_REFUSED, rule_of(reason, why), why);
    conn_audit_request(conn, &(struct audit_record){.reason = http_reason_name(reason),
                                                    .rule = rule_of(reason, why),
                                                    .detail = why,
                                                    .http_status = status});
}

static void say_more(struct log_quota *quota, const char *event, const char *reason) {
    uint32_t more = log_quota_settle(quota, clock_mono_ms());
    struct log_line line;
    if (more > 0) {
        log_begin(&line, LOG_WARN, "lines_suppressed");
        log_text(&line, "of", event);
        log_text(&line, "reason", reason);
        log_u64(&line, "num", more);
        log_end(&line);
    }
}

void conn_report_tick(struct worker *worker) {
    for (int i = 0; i < CLOSE_REASON_COUNT; i++) {
        say_more(&worker->closed_lines[i], "connection_closed",
                 close_reason_name((enum close_reason)i));
    }
    for (int i = 0; i < HTTP_REASON_COUNT; i++) {
        say_more(&worker->request_lines[i], "request_refused",
                 http_reason_name((enum http_reason)i));
    }
}

void conn_report_end(struct conn *conn) {
    const struct outbound_rule *rule = conn->decision.rule;
    write_line(conn);
    conn_audit_close(conn);
    if (close_reason_is_error(conn->reason)) {
        add_refusal(conn, conn->reason,
                    conn->edge_rule != NULL ? conn->edge_rule
                    : rule == NULL          ? ""
                                            : rule->name,
                    conn->detail != NULL ? conn->detail : close_reason_sentence(conn->reason));
    }
}

void conn_render(const struct conn *conn, struct connection_view *out) {
    const struct peer *peer = conn_peer(conn);
    const struct tunnel *tunnel = conn_tunnel(conn);
    out->id = conn->id;
    out->direction = conn_direction(conn);
    out->state = conn_state_name(conn->state);
    out->security = conn_security(conn);
    out->source = conn->source;
    out->destination = conn->destination;
    out->via = conn->via;
    out->opened_at_ms = conn->opened_at_ms;
    out->bytes_sent = conn_bytes_sent(conn);
    out->bytes_received = conn_bytes_received(conn);
    out->tunnel_id = tunnel == NULL ? 0 : tunnel->id;
    const char *own = own_id(conn);
    text_copy(out->own_id, sizeof(out->own_id), own == NULL ? "" : own);
    if (conn->decision.rule != NULL) {
        text_copy(out->rule, sizeof(out->rule), conn->decision.rule->name);
    }
    if (peer != NULL) {
        text_copy(out->peer_id, sizeof(out->peer_id), peer->id.text);
        text_copy(out->peer_serial, sizeof(out->peer_serial), peer->serial);
        out->peer_not_after = peer->not_after;
    }
}
