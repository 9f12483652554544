#include "agent/command/status_table.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "agent/command/status_table_internal.h"
#include "agent/command/text_table.h"
#include "agent/status/escape.h"
#include "agent/status/human.h"

OWN_DEFINE(json_t, json_decref)

#define CELL_MAX 1024

// Below the destinations: the host names of rules and listeners, where there are any.
static const struct table host_table = {"hosts",
                                        "hosts",
                                        "",
                                        {{"HOST", "host", KIND_TEXT},
                                         {"STATE", "state", KIND_TEXT},
                                         {"ADDRESSES", "addresses", KIND_TEXT},
                                         {"NEXT LOOK-UP", "until", KIND_WHEN},
                                         {"LAST ERROR", "lastError", KIND_TEXT}}};

// Below the identities: what /identity says besides them.
static const struct table chain_table = {"chain",
                                         "chain",
                                         "There is no chain.",
                                         {{"CHAIN", "subject", KIND_TEXT},
                                          {"SERIAL", "serial", KIND_TEXT},
                                          {"TIME LEFT", "notAfter", KIND_LEFT}}};
static const struct table bundle_table = {"bundles",
                                          "bundles",
                                          "There is no trust bundle.",
                                          {{"TRUST BUNDLE", "trustDomain", KIND_TEXT},
                                           {"CERTIFICATES", "certificates", KIND_TEXT},
                                           {"TIME LEFT", "notAfter", KIND_LEFT}}};

const char *const status_table_parts[STATUS_TABLE_NUM_PARTS] = {
    "identity", "listeners", "connections", "tunnels", "destinations", "refusals",
};

// RFC 3339 in UTC, as the status port writes it.
static bool parse_time(const char *text, int64_t *out_ms) {
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (rest == NULL || (*rest != '.' && *rest != 'Z')) {
        return false;
    }
    *out_ms = (int64_t)timegm(&tm) * 1000;
    return true;
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

static json_int_t number_of(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

static void format_time(const char *text, enum kind kind, int64_t now_ms, char out[CELL_MAX]) {
    char shown[HUMAN_TEXT_MAX];
    int64_t then_ms;
    if (!parse_time(text, &then_ms)) {
        (void)snprintf(out, CELL_MAX, "%s", text);
    } else if (kind == KIND_WHEN) {
        (void)snprintf(out, CELL_MAX, "%s", human_distance(then_ms, now_ms, shown));
    } else if (then_ms > now_ms) {
        (void)snprintf(out, CELL_MAX, "%s", human_duration(then_ms - now_ms, shown));
    } else {
        (void)snprintf(out, CELL_MAX, "expired %s", human_distance(then_ms, now_ms, shown));
    }
}

static void format_list(const json_t *list, char out[CELL_MAX]) {
    size_t len = 0;
    for (size_t i = 0; json_is_string(json_array_get(list, i)) && len < CELL_MAX; i++) {
        len += (size_t)snprintf(out + len, CELL_MAX - len, "%s%s", i == 0 ? "" : " ",
                                json_string_value(json_array_get(list, i)));
    }
}

static void format_cell(const json_t *value, enum kind kind, int64_t now_ms, char out[CELL_MAX]) {
    char shown[HUMAN_TEXT_MAX];
    out[0] = '\0';
    if (json_is_string(value) && (kind == KIND_LEFT || kind == KIND_WHEN)) {
        format_time(json_string_value(value), kind, now_ms, out);
    } else if (json_is_string(value)) {
        (void)snprintf(out, CELL_MAX, "%s", json_string_value(value));
    } else if (json_is_integer(value) && kind == KIND_BYTES) {
        uint64_t bytes = (uint64_t)json_integer_value(value);
        (void)snprintf(out, CELL_MAX, "%s", human_bytes(bytes, shown));
    } else if (json_is_integer(value)) {
        (void)snprintf(out, CELL_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    } else if (kind == KIND_STATUS) {
        (void)snprintf(out, CELL_MAX, "%s", text_of(value, "status"));
    } else if (json_is_array(value)) {
        format_list(value, out);
    } else if (json_is_boolean(value)) {
        (void)snprintf(out, CELL_MAX, "%s", json_is_true(value) ? "yes" : "no");
    }
}

static bool fill_table(struct text_table *text, const struct table *t, size_t num_columns,
                       const json_t *rows, int64_t now_ms) {
    char cell[CELL_MAX];
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        for (size_t c = 0; c < num_columns; c++) {
            format_cell(json_object_get(row, t->columns[c].key), t->columns[c].kind, now_ms, cell);
            if (!text_table_add(text, cell)) {
                return false;
            }
        }
    }
    return true;
}

static bool render_rows(const struct table *t, const json_t *document, int64_t now_ms,
                        struct buf *out) {
    const char *titles[TEXT_TABLE_COLUMNS_MAX];
    const json_t *rows = json_object_get(document, t->key);
    size_t num = 0;
    if (json_array_size(rows) == 0) {
        return buf_printf(out, "%s\n", t->empty);
    }
    for (; t->columns[num].title != NULL; num++) {
        titles[num] = t->columns[num].title;
    }
    OWNED(text_table_free) struct text_table *text = text_table_new(titles, num);
    if (text == NULL || !fill_table(text, t, num, rows, now_ms) || !text_table_render(text, out)) {
        return false;
    }
    json_int_t total = number_of(document, "total");
    return !json_is_true(json_object_get(document, "truncated")) ||
           buf_printf(out, "... of %" JSON_INTEGER_FORMAT " in all\n", total);
}

static const char *state_in_words(const char *state) {
    if (strcmp(state, "pending") == 0) {
        return "pending: there is no certificate yet";
    }
    if (strcmp(state, "expired") == 0) {
        return "expired: every new mesh connection is refused";
    }
    if (strcmp(state, "withdrawn") == 0) {
        return "withdrawn by the source: every new mesh connection is refused";
    }
    return state;
}

// "label  text", the text made harmless; nothing when it is empty.
static bool render_line(struct buf *out, const char *label, const char *text) {
    return text[0] == '\0' || (buf_printf(out, "%-13s", label) && escape_plain(out, text) &&
                               buf_append_text(out, "\n"));
}

// "3: 1 expired, 2 untrusted".
static bool render_refused(const json_t *document, struct buf *out) {
    json_t *counts = json_object_get(document, "counts");
    json_int_t total = number_of(counts, "refused");
    const char *between = ": ";
    const char *reason;
    json_t *value;
    if (total == 0) {
        return true;
    }
    bool fine = buf_printf(out, "%-13s%" JSON_INTEGER_FORMAT, "refused", total);
    json_object_foreach(json_object_get(counts, "refusedBy"), reason, value) {
        json_int_t number = json_integer_value(value);
        if (fine && number > 0) {
            fine = buf_printf(out, "%s%" JSON_INTEGER_FORMAT " ", between, number) &&
                   escape_plain(out, reason);
            between = ", ";
        }
    }
    return fine && buf_append_text(out, "\n");
}

static bool render_source(const json_t *document, struct buf *out) {
    const json_t *source = json_object_get(document, "source");
    char text[CELL_MAX];
    (void)snprintf(text, sizeof(text), "%s, %s", text_of(source, "kind"), text_of(source, "state"));
    return render_line(out, "source", text) &&
           render_line(out, "last error", text_of(source, "lastError")) &&
           render_line(out, "last refusal", text_of(document, "lastRefusal"));
}

// "label  PREFIX12s ago"; nothing when there is no time.
static bool render_time(struct buf *out, const char *label, const char *prefix, const json_t *value,
                        int64_t now_ms) {
    char when[CELL_MAX], text[CELL_MAX + 32];
    if (!json_is_string(value)) {
        return true;
    }
    format_cell(value, KIND_WHEN, now_ms, when);
    (void)snprintf(text, sizeof(text), "%.31s%s", prefix, when);
    return render_line(out, label, text);
}

static bool render_identity(const json_t *document, int64_t now_ms, struct buf *out) {
    const json_t *source = json_object_get(document, "source");
    char rotations[HUMAN_TEXT_MAX];
    (void)snprintf(rotations, sizeof(rotations), "%" JSON_INTEGER_FORMAT,
                   number_of(document, "rotations"));
    return render_line(out, "state", state_in_words(text_of(document, "state"))) &&
           render_source(document, out) &&
           render_time(out, "last change", "", json_object_get(document, "lastChange"), now_ms) &&
           render_time(out, "next renewal", "", json_object_get(source, "nextRenewal"), now_ms) &&
           render_time(out, "kept bundles", "in use, end ", json_object_get(document, "keptUntil"),
                       now_ms) &&
           render_line(out, "rotations", rotations) && render_refused(document, out) &&
           buf_append_text(out, "\n");
}

static bool render_trust(const json_t *document, int64_t now_ms, struct buf *out) {
    const json_t *svid = json_array_get(json_object_get(document, "svids"), 0);
    bool fine = svid == NULL ||
                (buf_append_text(out, "\n") && render_rows(&chain_table, svid, now_ms, out));
    return fine && buf_append_text(out, "\n") && render_rows(&bundle_table, document, now_ms, out);
}

static json_t *parse(struct span text, struct err *err) {
    json_error_t error;
    json_t *json = json_loadb((const char *)text.ptr, text.len, 0, &error);
    if (json == NULL || !json_is_object(json)) {
        json_decref(json);
        (void)ERR_SET(err, ERR_INPUT, "the answer is not the JSON of a status port");
        return NULL;
    }
    return json;
}

bool status_table_render(const char *what, struct span json, int64_t now_ms, struct buf *out,
                         struct err *err) {
    OWNED(json_decref) json_t *document = parse(json, err);
    if (document == NULL) {
        return false;
    }
    for (const struct table *t = status_table_rows; t->what != NULL; t++) {
        if (strcmp(t->what, what) != 0) {
            continue;
        }
        bool has_hosts = json_array_size(json_object_get(document, "hosts")) > 0;
        bool is_identity = strcmp(what, "identity") == 0;
        bool fine = (!is_identity || render_identity(document, now_ms, out)) &&
                    render_rows(t, document, now_ms, out) &&
                    (!is_identity || render_trust(document, now_ms, out)) &&
                    (!has_hosts || (buf_append_text(out, "\n") &&
                                    render_rows(&host_table, document, now_ms, out)));
        return fine || ERR_NO_MEMORY(err, "printing");
    }
    return ERR_SET(err, ERR_USAGE, "there is no table of %s", what);
}

static bool overview_identity(const json_t *document, int64_t now_ms, struct buf *out) {
    const json_t *svid = json_array_get(json_object_get(document, "svids"), 0);
    char left[CELL_MAX], text[4 * CELL_MAX];
    format_cell(json_object_get(svid, "notAfter"), KIND_LEFT, now_ms, left);
    (void)snprintf(text, sizeof(text), "%s%s%s%s%s", state_in_words(text_of(document, "state")),
                   svid == NULL ? "" : ", ", text_of(svid, "spiffeId"),
                   svid == NULL ? "" : ", time left ", left);
    return render_line(out, "identity", text) && render_source(document, out);
}

static bool overview_count(const char *what, const json_t *document, struct buf *out) {
    char text[64];
    (void)snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, number_of(document, "total"));
    return render_line(out, what, text);
}

static bool overview_refusals(const json_t *document, int64_t now_ms, struct buf *out) {
    const json_t *last = json_array_get(json_object_get(document, "refusals"), 0);
    char when[CELL_MAX], text[4 * CELL_MAX];
    if (last == NULL) {
        return render_line(out, "refusals", "0");
    }
    format_cell(json_object_get(last, "at"), KIND_WHEN, now_ms, when);
    const char *detail = text_of(last, "detail");
    bool says_more = detail[0] != '\0' && strcmp(detail, text_of(last, "sentence")) != 0;
    (void)snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT " kept; the last %s, %s: %s%s%s",
                   number_of(document, "total"), when, text_of(last, "direction"),
                   text_of(last, "sentence"), says_more ? "; " : "", says_more ? detail : "");
    return render_line(out, "refusals", text);
}

bool status_table_overview(const struct span json[STATUS_TABLE_NUM_PARTS], int64_t now_ms,
                           struct buf *out, struct err *err) {
    for (size_t i = 0; i < STATUS_TABLE_NUM_PARTS; i++) {
        const char *part = status_table_parts[i];
        OWNED(json_decref) json_t *document = parse(json[i], err);
        if (document == NULL) {
            return err_wrap(err, "/%s", part);
        }
        bool fine = strcmp(part, "identity") == 0   ? overview_identity(document, now_ms, out)
                    : strcmp(part, "refusals") == 0 ? overview_refusals(document, now_ms, out)
                                                    : overview_count(part, document, out);
        if (!fine) {
            return ERR_NO_MEMORY(err, "printing");
        }
    }
    return true;
}
