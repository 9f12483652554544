// A borrowed run of bytes: a pointer and a length, no ownership, no terminator.
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *ptr;
    size_t len;
};

static inline struct span span_of(const void *ptr, size_t len) {
    return (struct span){.ptr = (const uint8_t *)ptr, .len = len};
}

static inline struct span span_of_text(const char *text) {
    return span_of(text, text == NULL ? 0 : strlen(text));
}

static inline bool span_equal(struct span a, struct span b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool span_equal_text(struct span a, const char *text) {
    return span_equal(a, span_of_text(text));
}

// The rest of `s` after its first `n` bytes; `n` is at most s.len.
static inline struct span span_after(struct span s, size_t n) {
    return span_of(s.ptr + n, s.len - n);
}

#endif
