#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define CAP_MIN 64

void buf_init(struct buf *buf) {
    *buf = (struct buf){0};
}

void buf_fini(struct buf *buf) {
    if (buf != NULL) {
        buf_clear(buf);
    }
}

// `cap` and `wanted` are at most PTRDIFF_MAX, so doubling cannot wrap.
static size_t grown_cap(size_t cap, size_t wanted) {
    size_t grown = 2 * cap > wanted ? 2 * cap : wanted;
    return grown > CAP_MIN ? grown : CAP_MIN;
}

uint8_t *buf_reserve(struct buf *buf, size_t len) {
    return buf_reserve_within(buf, len, PTRDIFF_MAX); // no object is larger
}

uint8_t *buf_reserve_within(struct buf *buf, size_t len, size_t max) {
    if (buf->len > max || len > max - buf->len) {
        return NULL;
    }
    if (buf->mem != NULL && len <= buf->cap - buf->start - buf->len) {
        return buf->mem + buf->start + buf->len;
    }
    size_t wanted = buf->len + len;
    // Moving down is worth it only when it frees at least as much as it moves: amortised constant.
    // What may not grow has no choice.
    bool moves = buf->start >= buf->len || buf->cap >= max;
    if (buf->mem != NULL && wanted <= buf->cap && moves) {
        memmove(buf->mem, buf->mem + buf->start, buf->len);
        buf->start = 0;
        return buf->mem + buf->len;
    }
    size_t cap = grown_cap(buf->cap, wanted);
    cap = cap < max ? cap : max;
    uint8_t *mem = malloc(cap);
    if (mem == NULL) {
        return NULL;
    }
    if (buf->len > 0) {
        memcpy(mem, buf->mem + buf->start, buf->len);
    }
    free(buf->mem);
    *buf = (struct buf){.mem = mem, .len = buf->len, .cap = cap};
    return mem + buf->len;
}

void buf_commit(struct buf *buf, size_t len) {
    CHECK(len <= buf->cap - buf->start - buf->len);
    buf->len += len;
    if (buf->len == 0) { // a read that brought nothing leaves nothing behind
        buf_clear(buf);
    }
}

bool buf_append(struct buf *buf, const void *bytes, size_t len) {
    if (len == 0) {
        return true;
    }
    uint8_t *to = buf_reserve(buf, len);
    if (to == NULL) {
        return false;
    }
    memcpy(to, bytes, len);
    buf_commit(buf, len);
    return true;
}

bool buf_append_text(struct buf *buf, const char *text) {
    return buf_append(buf, text, strlen(text));
}

bool buf_printf(struct buf *buf, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int needed = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (needed < 0) {
        return false;
    }
    uint8_t *to = buf_reserve(buf, (size_t)needed + 1);
    if (to == NULL) {
        return false;
    }
    va_start(args, format);
    vsnprintf((char *)to, (size_t)needed + 1, format, args);
    va_end(args);
    buf_commit(buf, (size_t)needed);
    return true;
}

struct span buf_span(const struct buf *buf) {
    return buf->len == 0 ? span_of(NULL, 0) : span_of(buf->mem + buf->start, buf->len);
}

void buf_consume(struct buf *buf, size_t len) {
    CHECK(len <= buf->len);
    buf->start += len;
    buf->len -= len;
    if (buf->len == 0) {
        buf_clear(buf);
    }
}

void buf_clear(struct buf *buf) {
    free(buf->mem);
    *buf = (struct buf){0};
}

void buf_clear_secret(struct buf *buf) {
    if (buf->mem != NULL) {
        // All of it: consumed bytes and moved ones lie outside of what is held.
        explicit_bzero(buf->mem, buf->cap);
    }
    buf_clear(buf);
}

char *buf_take_text(struct buf *buf) {
    uint8_t *end = buf_reserve(buf, 1);
    if (end == NULL) {
        return NULL;
    }
    *end = '\0';
    char *text = (char *)buf->mem;
    memmove(text, text + buf->start, buf->len + 1);
    *buf = (struct buf){0};
    return text;
}
