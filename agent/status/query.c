#include "agent/status/query.h"

// Takes the next "name=value" off `query`.
static bool next_pair(struct span *query, struct span *name, struct span *value) {
    if (query->len == 0) {
        return false;
    }
    const uint8_t *amp = memchr(query->ptr, '&', query->len);
    struct span pair = span_of(query->ptr, amp == NULL ? query->len : (size_t)(amp - query->ptr));
    *query = span_after(*query, pair.len + (amp == NULL ? 0 : 1));
    const uint8_t *equals = pair.len == 0 ? NULL : memchr(pair.ptr, '=', pair.len);
    *name = equals == NULL ? pair : span_of(pair.ptr, (size_t)(equals - pair.ptr));
    *value = equals == NULL ? span_of(NULL, 0) : span_after(pair, name->len + 1);
    return true;
}

static bool find(struct span query, const char *name, struct span *value) {
    struct span found;
    while (next_pair(&query, &found, value)) {
        if (span_equal_text(found, name)) {
            return true;
        }
    }
    return false;
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The next decoded byte, -1 when the encoding is bad.
static int next_byte(struct span *value) {
    uint8_t c = value->ptr[0];
    if (c == '%') {
        int high = value->len < 3 ? -1 : hex_digit(value->ptr[1]);
        int low = value->len < 3 ? -1 : hex_digit(value->ptr[2]);
        if (high < 0 || low < 0) {
            return -1;
        }
        *value = span_after(*value, 3);
        return high * 16 + low;
    }
    *value = span_after(*value, 1);
    return c == '+' ? ' ' : c;
}

bool query_get(struct span query, const char *name, char *out, size_t max) {
    struct span value;
    size_t len = 0;
    if (!find(query, name, &value)) {
        return false;
    }
    while (value.len > 0) {
        int c = next_byte(&value);
        if (c < 0x20 || c == 0x7f || len + 1 >= max) {
            return false;
        }
        out[len++] = (char)c;
    }
    out[len] = '\0';
    return max > 0;
}

bool query_has(struct span query, const char *name) {
    struct span value;
    return find(query, name, &value);
}
