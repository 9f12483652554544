#include "certmgr/spiffe_id.h"

#include <string.h>

#include "base/check.h"

static const char scheme[] = "spiffe://";
#define SCHEME_LEN (sizeof scheme - 1)

static bool is_trust_domain_byte(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

static bool is_path_byte(uint8_t c) {
    return is_trust_domain_byte(c) || (c >= 'A' && c <= 'Z');
}

// The offset of the first `c` in `text`, or its length.
static size_t find_byte(struct span text, uint8_t c) {
    const uint8_t *found = text.len == 0 ? NULL : memchr(text.ptr, c, text.len);
    return found == NULL ? text.len : (size_t)(found - text.ptr);
}

// `offset` is where `name` starts in the whole text.
static bool check_trust_domain(struct span name, size_t offset, struct err *err) {
    if (name.len == 0) {
        return ERR_SET(err, ERR_INPUT, "the trust domain is empty");
    }
    if (name.len > SPIFFE_TRUST_DOMAIN_MAX) {
        return ERR_SET(err, ERR_INPUT, "the trust domain has %zu bytes; at most %d are allowed",
                       name.len, SPIFFE_TRUST_DOMAIN_MAX);
    }
    for (size_t i = 0; i < name.len; i++) {
        if (!is_trust_domain_byte(name.ptr[i])) {
            return ERR_SET(err, ERR_INPUT,
                           "byte 0x%02x at offset %zu is not allowed in a trust domain: only a-z, "
                           "0-9, '.', '-' and '_'",
                           name.ptr[i], offset + i);
        }
    }
    return true;
}

static bool check_segment(struct span segment, size_t offset, struct err *err) {
    if (segment.len == 0) {
        return ERR_SET(err, ERR_INPUT, "the path segment at offset %zu is empty", offset);
    }
    if (span_equal_text(segment, ".") || span_equal_text(segment, "..")) {
        return ERR_SET(err, ERR_INPUT, "the path segment at offset %zu is '.' or '..'", offset);
    }
    for (size_t i = 0; i < segment.len; i++) {
        if (!is_path_byte(segment.ptr[i])) {
            return ERR_SET(err, ERR_INPUT,
                           "byte 0x%02x at offset %zu is not allowed in a path: only A-Z, a-z, "
                           "0-9, '.', '-' and '_'",
                           segment.ptr[i], offset + i);
        }
    }
    return true;
}

static bool is_wildcard(struct span segment, bool last) {
    return span_equal_text(segment, "*") || (last && span_equal_text(segment, "**"));
}

// `path` is empty or starts with a slash.
static bool check_path(struct span path, size_t offset, bool wildcards, struct err *err) {
    while (path.len > 0) {
        path = span_after(path, 1);
        offset++;
        struct span segment = span_of(path.ptr, find_byte(path, '/'));
        bool last = segment.len == path.len;
        if (!(wildcards && is_wildcard(segment, last)) && !check_segment(segment, offset, err)) {
            return false;
        }
        path = span_after(path, segment.len);
        offset += segment.len;
    }
    return true;
}

// On success `*trust_domain_len` is set.
static bool check_id(struct span text, bool wildcards, size_t *trust_domain_len, struct err *err) {
    if (text.len > SPIFFE_ID_MAX) {
        return ERR_SET(err, ERR_INPUT, "it has %zu bytes; at most %d are allowed", text.len,
                       SPIFFE_ID_MAX);
    }
    if (text.len < SCHEME_LEN || memcmp(text.ptr, scheme, SCHEME_LEN) != 0) {
        return ERR_SET(err, ERR_INPUT, "it does not start with '%s'", scheme);
    }
    struct span rest = span_after(text, SCHEME_LEN);
    struct span name = span_of(rest.ptr, find_byte(rest, '/'));
    if (!check_trust_domain(name, SCHEME_LEN, err)) {
        return false;
    }
    *trust_domain_len = name.len;
    return check_path(span_after(rest, name.len), SCHEME_LEN + name.len, wildcards, err);
}

bool spiffe_id_parse(struct spiffe_id *out, struct span text, struct err *err) {
    size_t trust_domain_len = 0;
    if (!check_id(text, false, &trust_domain_len, err)) {
        return err_wrap(err, "not a SPIFFE ID");
    }
    memcpy(out->text, text.ptr, text.len);
    out->text[text.len] = '\0';
    out->len = (uint16_t)text.len;
    out->trust_domain_len = (uint16_t)trust_domain_len;
    return true;
}

bool spiffe_trust_domain_is_valid(struct span name) {
    return check_trust_domain(name, 0, NULL);
}

struct span spiffe_id_trust_domain(const struct spiffe_id *id) {
    return span_of(id->text + SCHEME_LEN, id->trust_domain_len);
}

struct span spiffe_id_path(const struct spiffe_id *id) {
    return span_after(spiffe_id_text(id), SCHEME_LEN + id->trust_domain_len);
}

struct span spiffe_id_text(const struct spiffe_id *id) {
    return span_of(id->text, id->len);
}

bool spiffe_id_equal(const struct spiffe_id *a, const struct spiffe_id *b) {
    return span_equal(spiffe_id_text(a), spiffe_id_text(b));
}

bool spiffe_pattern_check(struct span pattern, struct err *err) {
    size_t trust_domain_len = 0;
    if (!check_id(pattern, true, &trust_domain_len, err)) {
        return err_wrap(err, "not a SPIFFE ID pattern ('*' is a whole segment, '**' the last one)");
    }
    return true;
}

// Takes the first segment, slash included, off a path that is not empty.
static struct span next_segment(struct span *path) {
    CHECK(path->len > 0 && path->ptr[0] == '/');
    size_t len = find_byte(span_after(*path, 1), '/');
    struct span segment = span_of(path->ptr + 1, len);
    *path = span_after(*path, 1 + len);
    return segment;
}

bool spiffe_pattern_matches(struct span pattern, const struct spiffe_id *id) {
    struct span rest = span_after(pattern, SCHEME_LEN);
    size_t name_len = find_byte(rest, '/');
    if (!span_equal(span_of(rest.ptr, name_len), spiffe_id_trust_domain(id))) {
        return false;
    }
    struct span wanted = span_after(rest, name_len);
    struct span path = spiffe_id_path(id);
    while (wanted.len > 0 && path.len > 0) {
        struct span segment = next_segment(&wanted);
        if (span_equal_text(segment, "**")) {
            return true; // the last one of the pattern, and the ID has one segment or more left
        }
        struct span actual = next_segment(&path);
        if (!span_equal_text(segment, "*") && !span_equal(segment, actual)) {
            return false;
        }
    }
    return wanted.len == 0 && path.len == 0;
}
