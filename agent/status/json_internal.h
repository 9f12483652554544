// How the answers of the status port are put together, for its own files: objects that fail as a
// whole, texts made harmless.
#ifndef AGENT_STATUS_JSON_INTERNAL_H
#define AGENT_STATUS_JSON_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <jansson.h>

#include "agent/status/escape.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/span.h"
#include "certmgr/trust/trust_cert.h"

// An object under construction. A value that could not be made fails the whole document: a key
// that is silently missing would be read as an answer.
struct object {
    json_t *json;
    bool fine;
};

static inline struct object object_begin(void) {
    json_t *json = json_object();
    return (struct object){.json = json, .fine = json != NULL};
}

// Steals `value`; NULL fails the object.
static inline void put(struct object *o, const char *key, json_t *value) {
    o->fine &= json_object_set_new(o->json, key, value) == 0;
}

// The same for a list that becomes one of its values.
static inline void put_row(struct object *o, json_t *list, json_t *row) {
    o->fine &= json_array_append_new(list, row) == 0;
}

// The finished object, or NULL.
static inline json_t *object_end(struct object *o) {
    if (!o->fine) {
        json_decref(o->json);
        return NULL;
    }
    return o->json;
}

static inline json_t *text(const char *value) {
    struct buf clean = {0};
    json_t *json = NULL;
    if (escape_plain(&clean, value)) {
        struct span bytes = buf_span(&clean);
        json = json_stringn(bytes.len == 0 ? "" : (const char *)bytes.ptr, bytes.len);
    }
    buf_fini(&clean);
    return json;
}

static inline json_t *span_text(struct span value) {
    struct buf copy = {0};
    json_t *json = NULL;
    if (buf_append(&copy, value.ptr, value.len) && buf_append(&copy, "", 1)) {
        json = text((const char *)buf_span(&copy).ptr);
    }
    buf_fini(&copy);
    return json;
}

static inline json_t *number(uint64_t value) {
    return json_integer((json_int_t)value);
}

static inline json_t *time_s(int64_t wall_s) {
    char out[CLOCK_TEXT_MAX];
    if (wall_s == 0) {
        return json_null();
    }
    clock_format(wall_s * 1000, false, out);
    return json_string(out);
}

// A thumbprint of a certificate, the longest of which is SHA-256.
static inline json_t *hex(const uint8_t *bytes, size_t len) {
    char out[2 * TRUST_CERT_SHA256_LEN + 1];
    trust_cert_hex(bytes, len, out);
    return json_string(out);
}

// Appends the document and ends its use. NULL fails.
static inline bool dump(struct buf *out, json_t *json) {
    char *rendered = json == NULL ? NULL : json_dumps(json, JSON_INDENT(2));
    json_decref(json);
    bool fine = rendered != NULL && buf_append_text(out, rendered) && buf_append_text(out, "\n");
    free(rendered);
    return fine;
}

#endif
