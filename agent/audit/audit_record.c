#include "agent/audit/audit_record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/utf16.h"

#define TAIL_MAX 32     // what ends a line
#define TEXT_BYTES 1024 // of one value; a detail may be longer

struct line {
    char *text;
    size_t len;
    bool has_pair;
    bool is_cut;
};

static bool put(struct line *line, const char *text, size_t len) {
    if (len > AUDIT_LINE_MAX - TAIL_MAX - line->len) {
        return false;
    }
    memcpy(line->text + line->len, text, len);
    line->len += len;
    return true;
}

static bool put_text(struct line *line, const char *text) {
    return put(line, text, strlen(text));
}

static bool put_unit(struct line *line, uint16_t unit) {
    char text[8];
    bool plain = unit >= 0x20 && unit < 0x7f && unit != '"' && unit != '\\';
    int len = plain ? snprintf(text, sizeof(text), "%c", (char)unit)
                    : snprintf(text, sizeof(text), "\\u%04x", unit);
    return put(line, text, (size_t)len);
}

static bool put_quoted(struct line *line, const char *value) {
    const char *at = value;
    bool ok = put(line, "\"", 1);
    while (ok && *at != '\0' && at - value < TEXT_BYTES) {
        uint16_t units[2];
        size_t num = utf16_next(&at, units);
        for (size_t i = 0; ok && i < num; i++) {
            ok = put_unit(line, units[i]);
        }
    }
    return ok && put(line, "\"", 1);
}

static bool put_key(struct line *line, const char *key) {
    return (!line->has_pair || put(line, ",", 1)) && put(line, "\"", 1) && put_text(line, key) &&
           put(line, "\":", 2);
}

// All of a pair or nothing of it. `bare` is a number or a word of JSON.
static void add(struct line *line, const char *key, const char *bare, const char *quoted) {
    size_t before = line->len;
    bool ok =
        put_key(line, key) && (bare != NULL ? put_text(line, bare) : put_quoted(line, quoted));
    line->len = ok ? line->len : before;
    line->has_pair |= ok;
    line->is_cut |= !ok;
}

static void add_text(struct line *line, const char *key, const char *value) {
    if (value != NULL && value[0] != '\0') {
        add(line, key, NULL, value);
    }
}

static void add_number(struct line *line, const char *key, int64_t value) {
    char text[24];
    snprintf(text, sizeof(text), "%" PRId64, value);
    add(line, key, text, NULL);
}

// The port as text, as Redis Enterprise has it.
static void add_address(struct line *line, const char *ip_key, const char *port_key,
                        const struct netaddr *addr) {
    char text[NETADDR_TEXT_MAX];
    if (addr->family == NETADDR_NONE) {
        return;
    }
    add_text(line, ip_key, netaddr_format_ip(addr, text));
    snprintf(text, sizeof(text), "%u", addr->port);
    add_text(line, port_key, text);
}

static void add_auth(struct line *line, const struct audit_record *record) {
    add_text(line, "status", record->status);
    add_text(line, "username", record->username);
    add_text(line, "identity", record->identity);
    add_text(line, "peer_subject", record->peer_subject);
    add_text(line, "peer_serial", record->peer_serial);
    if (record->has_peer) {
        add(line, "peer_verified", record->is_verified ? "true" : "false", NULL);
    }
    add_text(line, "verify_error", record->verify_error);
    add_text(line, "server_name", record->server_name);
    add_text(line, "tls_version", record->tls_version);
    add_text(line, "tls_cipher", record->tls_cipher);
}

static void add_end(struct line *line, const struct audit_record *record) {
    add_number(line, "bytes_sent", (int64_t)record->bytes_sent);
    add_number(line, "bytes_received", (int64_t)record->bytes_received);
    add_number(line, "duration_ms", record->duration_ms);
}

size_t audit_record_render(const struct audit_record *record, char out[AUDIT_LINE_MAX]) {
    static const char *const NAMES[] = {
        [AUDIT_NEW_CONN] = "new_conn",
        [AUDIT_AUTH] = "auth",
        [AUDIT_REQUEST_REFUSED] = "request_refused",
        [AUDIT_CLOSE_CONN] = "close_conn",
    };
    struct line line = {.text = out};
    (void)!(put(&line, "\"", 1) && put_text(&line, NAMES[record->event]) && put(&line, "\":{", 3));
    add_number(&line, "id", (int64_t)record->id);
    add_address(&line, "srcip", "srcp", &record->source);
    add_address(&line, "trgip", "trgp", &record->destination);
    add_text(&line, "transport", record->transport);
    if (record->event == AUDIT_AUTH) {
        add_auth(&line, record);
    }
    if (record->event == AUDIT_REQUEST_REFUSED) {
        add_number(&line, "http_status", record->http_status);
    }
    if (record->event == AUDIT_CLOSE_CONN) {
        add_end(&line, record);
    }
    add_text(&line, "reason", record->reason);
    add_text(&line, "rule", record->rule);
    add_text(&line, "detail", record->detail);
    // TAIL_MAX bytes were kept free for it.
    const char *tail = line.is_cut ? ",\"truncated\":true}}\n" : "}}\n";
    memcpy(out + line.len, tail, strlen(tail));
    return line.len + strlen(tail);
}
