#include "agent/status/escape.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" // U+FFFD

// What a character is written as instead; NULL: itself.
typedef const char *substitute_fn(uint32_t code);

// The length of the well-formed UTF-8 sequence at `s` (RFC 3629: shortest form, no surrogates), 0
// when there is none. `s` is NUL-terminated, so a cut sequence ends at the NUL.
static size_t decode(const unsigned char *s, uint32_t *code) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;
    if (len <= 1 || s[0] > 0xf4) {
        *code = s[0];
        return s[0] > 0xf4 ? 0 : len;
    }
    *code = s[0] & (0x7fU >> len);
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
        *code = *code << 6 | (s[i] & 0x3fU);
    }
    bool surrogate = *code >= 0xd800 && *code <= 0xdfff;
    return *code < least[len] || *code > 0x10ffff || surrogate ? 0 : len;
}

// Controls, and the marks that reorder text: what is shown must be what is there.
static bool is_deceptive(uint32_t code) {
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x2069) ||
           code == 0xfeff;
}

static bool escape(struct buf *out, const char *text, substitute_fn *substitute) {
    const unsigned char *s = (const unsigned char *)text;
    while (*s != '\0') {
        uint32_t code;
        size_t len = decode(s, &code);
        const char *instead = len == 0 || is_deceptive(code) ? REPLACEMENT : substitute(code);
        bool fine =
            instead == NULL ? buf_append(out, s, len) : buf_append(out, instead, strlen(instead));
        if (!fine) {
            return false;
        }
        s += len == 0 ? 1 : len;
    }
    return true;
}

static const char *for_html(uint32_t code) {
    switch (code) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

static const char *for_label(uint32_t code) {
    switch (code) {
    case '\\':
        return "\\\\";
    case '"':
        return "\\\"";
    default:
        return NULL;
    }
}

static const char *for_plain(uint32_t code UNUSED) {
    return NULL;
}

bool escape_html(struct buf *out, const char *text) {
    return escape(out, text, for_html);
}

bool escape_label(struct buf *out, const char *text) {
    return escape(out, text, for_label);
}

bool escape_plain(struct buf *out, const char *text) {
    return escape(out, text, for_plain);
}
