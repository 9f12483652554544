// Published test vectors as bytes, for tests.
#ifndef TESTS_TLS_HEX_H
#define TESTS_TLS_HEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

static inline uint8_t hex_digit(char c) {
    CHECK((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

// Reads lower-case digits, in pairs; the number of bytes is the result, at most `cap`.
static inline size_t hex_read(const char *text, uint8_t *out, size_t cap) {
    size_t len = 0;
    for (; text[0] != '\0'; text += 2) {
        CHECK(len < cap);
        out[len++] = (uint8_t)(hex_digit(text[0]) << 4 | hex_digit(text[1]));
    }
    return len;
}

#endif
