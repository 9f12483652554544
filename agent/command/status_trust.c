#include "agent/command/status_trust.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "agent/command/text_table.h"
#include "agent/status/escape.h"
#include "agent/status/human.h"

OWN_DEFINE(json_t, json_decref)

#define CELL_MAX 1024
#define NUM_COLUMNS(titles) (sizeof(titles) / sizeof((titles)[0]))

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

static json_int_t number_of(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

// "in 52m" of an RFC 3339 time; "" where there is none.
static const char *distance(const json_t *object, const char *key, int64_t now_ms,
                            char out[HUMAN_TEXT_MAX]) {
    struct tm tm = {0};
    if (strptime(text_of(object, key), "%Y-%m-%dT%H:%M:%S", &tm) == NULL) {
        return "";
    }
    return human_distance((int64_t)timegm(&tm) * 1000, now_ms, out);
}

static bool line(struct buf *out, const char *label, const char *text) {
    return text[0] == '\0' || (buf_printf(out, "%-13s", label) && escape_plain(out, text) &&
                               buf_append_text(out, "\n"));
}

static bool render_state(const json_t *document, int64_t now_ms, struct buf *out) {
    const json_t *roots = json_object_get(document, "publicRoots");
    char state[CELL_MAX], from[CELL_MAX], when[HUMAN_TEXT_MAX];
    json_int_t generation = number_of(document, "generation");
    (void)snprintf(state, sizeof(state), "%s", text_of(document, "state"));
    if (generation > 0) {
        (void)snprintf(state, sizeof(state), "%.32s, generation %" JSON_INTEGER_FORMAT ", %s",
                       text_of(document, "state"), generation,
                       distance(document, "writtenAt", now_ms, when));
    }
    (void)snprintf(from, sizeof(from), "%" JSON_INTEGER_FORMAT "%s%.900s",
                   number_of(roots, "certificates"),
                   text_of(roots, "source")[0] == '\0' ? "" : " from ", text_of(roots, "source"));
    return line(out, "state", state) && line(out, "last error", text_of(document, "lastError")) &&
           line(out, "output", text_of(document, "output")) && line(out, "public roots", from);
}

// A line for each process that read its store before it changed.
static bool render_stale(const json_t *document, int64_t now_ms, struct buf *out) {
    const json_t *processes = json_object_get(document, "processes");
    bool ok = true;
    for (size_t i = 0; ok && i < json_array_size(processes); i++) {
        const json_t *process = json_array_get(processes, i);
        char text[CELL_MAX], when[HUMAN_TEXT_MAX];
        if (!json_is_true(json_object_get(process, "restartNeeded"))) {
            continue;
        }
        (void)snprintf(text, sizeof(text),
                       "restart needed: %.64s (pid %" JSON_INTEGER_FORMAT
                       ") started %s, before the store changed",
                       text_of(process, "command"), number_of(process, "pid"),
                       distance(process, "startedAt", now_ms, when));
        ok = line(out, "process", text);
    }
    return ok;
}

static bool add_certificate(struct text_table *table, const json_t *row, int64_t now_ms) {
    char when[HUMAN_TEXT_MAX], warnings[CELL_MAX] = "";
    const json_t *list = json_object_get(row, "warnings");
    for (size_t i = 0; i < json_array_size(list); i++) {
        size_t len = strlen(warnings);
        (void)snprintf(warnings + len, sizeof(warnings) - len, "%s%s", len == 0 ? "" : ", ",
                       json_string_value(json_array_get(list, i)));
    }
    return text_table_add(table, text_of(row, "name")) &&
           text_table_add(table, text_of(row, "subjectName")) &&
           text_table_add(table, text_of(row, "thumbprint")) &&
           text_table_add(table, distance(row, "expirationDate", now_ms, when)) &&
           text_table_add(table, warnings) && text_table_add(table, text_of(row, "source"));
}

static bool render_certificates(const json_t *document, int64_t now_ms, struct buf *out) {
    static const char *const titles[] = {"NAME",    "SUBJECT",  "THUMBPRINT (SHA-1)",
                                         "EXPIRES", "WARNINGS", "SOURCE"};
    const json_t *rows = json_object_get(document, "certificates");
    OWNED(text_table_free) struct text_table *table = text_table_new(titles, NUM_COLUMNS(titles));
    bool ok = table != NULL;
    for (size_t i = 0; ok && i < json_array_size(rows); i++) {
        ok = add_certificate(table, json_array_get(rows, i), now_ms);
    }
    if (ok && json_array_size(rows) == 0) {
        return buf_append_text(out, "\nThere is no certificate of the user's.\n");
    }
    return ok && buf_append_text(out, "\n") && text_table_render(table, out);
}

static bool render_problems(const json_t *document, struct buf *out) {
    static const char *const titles[] = {"PROBLEM", "REASON"};
    const json_t *rows = json_object_get(document, "problems");
    if (json_array_size(rows) == 0) {
        return true;
    }
    OWNED(text_table_free) struct text_table *table = text_table_new(titles, NUM_COLUMNS(titles));
    bool ok = table != NULL;
    for (size_t i = 0; ok && i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        ok = text_table_add(table, text_of(row, "source")) &&
             text_table_add(table, text_of(row, "reason"));
    }
    return ok && buf_append_text(out, "\n") && text_table_render(table, out);
}

bool status_trust_render(struct span json, int64_t now_ms, struct buf *out, struct err *err) {
    OWNED(json_decref)
    json_t *document = json_loadb((const char *)json.ptr, json.len, 0, NULL);
    if (!json_is_object(document)) {
        return ERR_SET(err, ERR_INPUT, "the answer is not the JSON of a status port");
    }
    if (strcmp(text_of(document, "state"), "off") == 0) {
        return buf_append_text(out, "The configuration has no trustStore section.\n") ||
               ERR_NO_MEMORY(err, "printing");
    }
    bool ok = render_state(document, now_ms, out) && render_stale(document, now_ms, out) &&
              render_certificates(document, now_ms, out) && render_problems(document, out);
    return ok || ERR_NO_MEMORY(err, "printing");
}
