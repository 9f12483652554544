#include "base/utf16.h"

#include <stdbool.h>

#define REPLACEMENT 0xfffd
#define LEN_MAX 4

// The length that a first byte announces; 0 when it cannot be one.
static size_t announced(unsigned char c) {
    if (c < 0x80) {
        return 1;
    }
    if (c < 0xc2 || c > 0xf4) {
        return 0;
    }
    return c < 0xe0 ? 2 : c < 0xf0 ? 3 : LEN_MAX;
}

static bool is_character(uint32_t code, size_t len) {
    static const uint32_t least[LEN_MAX + 1] = {0, 0, 0x80, 0x800, 0x10000};
    return code >= least[len] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
}

size_t utf16_next(const char **text, uint16_t units[2]) {
    const unsigned char *s = (const unsigned char *)*text;
    size_t len = announced(s[0]);
    uint32_t code = len <= 1 ? s[0] : s[0] & (0x7fU >> len);
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80) { // the end of the text, too
            len = 0;
            break;
        }
        code = code << 6 | (s[i] & 0x3fU);
    }
    if (len == 0 || !is_character(code, len)) {
        *text += 1;
        units[0] = REPLACEMENT;
        return 1;
    }
    *text += len;
    if (code < 0x10000) {
        units[0] = (uint16_t)code;
        return 1;
    }
    units[0] = (uint16_t)(0xd800 + ((code - 0x10000) >> 10));
    units[1] = (uint16_t)(0xdc00 + ((code - 0x10000) & 0x3ff));
    return 2;
}
