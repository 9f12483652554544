#include "agent/http/http_chars.h"

#include <string.h>

bool http_chars_is_alnum(uint8_t c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool is_one_of(uint8_t c, const char *set) {
    return c != '\0' && strchr(set, c) != NULL;
}

bool http_chars_is_token(struct span text) {
    for (size_t i = 0; i < text.len; i++) {
        if (!http_chars_is_alnum(text.ptr[i]) && !is_one_of(text.ptr[i], "!#$%&'*+-.^_`|~")) {
            return false;
        }
    }
    return text.len > 0;
}

bool http_chars_is_field_value(struct span text) {
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

bool http_chars_is_target(struct span text) {
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c <= 0x20 || c >= 0x7f || c == '#') {
            return false;
        }
    }
    return text.len > 0;
}

bool http_chars_is_host(struct span text) {
    bool bracketed = text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']';
    if (bracketed) {
        text = span_of(text.ptr + 1, text.len - 2);
    }
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (!http_chars_is_alnum(c) && !is_one_of(c, bracketed ? ".:" : ".-_")) {
            return false;
        }
    }
    return text.len > 0;
}

uint8_t http_chars_lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool http_chars_same_nocase(struct span a, struct span b) {
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (http_chars_lower(a.ptr[i]) != http_chars_lower(b.ptr[i])) {
            return false;
        }
    }
    return true;
}

bool http_chars_equal_nocase(struct span text, const char *other) {
    return http_chars_same_nocase(text, span_of_text(other));
}

int http_chars_hex(uint8_t c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = http_chars_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_blank(uint8_t c) {
    return c == ' ' || c == '\t';
}

struct span http_chars_trim(struct span text) {
    while (text.len > 0 && is_blank(text.ptr[0])) {
        text = span_after(text, 1);
    }
    while (text.len > 0 && is_blank(text.ptr[text.len - 1])) {
        text.len--;
    }
    return text;
}

bool http_chars_next_element(struct span *rest, struct span *element) {
    while (rest->len > 0) {
        const uint8_t *comma = memchr(rest->ptr, ',', rest->len);
        size_t len = comma == NULL ? rest->len : (size_t)(comma - rest->ptr);
        *element = http_chars_trim(span_of(rest->ptr, len));
        *rest = span_after(*rest, comma == NULL ? len : len + 1);
        if (element->len > 0) {
            return true;
        }
    }
    return false;
}

bool http_chars_decimal(struct span text, uint64_t *out) {
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c < '0' || c > '9' || value > (UINT64_MAX - 9) / 10) {
            return false;
        }
        value = value * 10 + (uint64_t)(c - '0');
    }
    if (text.len == 0) {
        return false;
    }
    *out = value;
    return true;
}
