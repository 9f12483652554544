// A growable byte queue: append at the end, consume at the front. It holds no memory while it is
// empty (buf_consume and buf_clear give it back), so an idle connection costs nothing.
// One owner, no locking.
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/own.h"
#include "base/span.h"

struct buf {
    uint8_t *mem; // NULL while empty
    size_t start; // bytes consumed at the front
    size_t len;   // bytes held
    size_t cap;
};

// A zeroed struct buf is a valid empty one; _init is for clarity.
void buf_init(struct buf *buf);
void buf_fini(struct buf *buf);

// Makes room for `len` more bytes and returns where they go; NULL when memory is short.
MUST_USE uint8_t *buf_reserve(struct buf *buf, size_t len);
// The same, in memory of at most `max` bytes; NULL also when there is no room in it.
MUST_USE uint8_t *buf_reserve_within(struct buf *buf, size_t len, size_t max);
// Takes `len` bytes that were written behind buf_reserve's pointer.
void buf_commit(struct buf *buf, size_t len);

MUST_USE bool buf_append(struct buf *buf, const void *bytes, size_t len);
MUST_USE bool buf_append_text(struct buf *buf, const char *text);
MUST_USE bool buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);

// What is held. Valid until the next call that changes the buffer.
struct span buf_span(const struct buf *buf);
// Drops `len` bytes at the front; gives the memory back when nothing is left.
void buf_consume(struct buf *buf, size_t len);
// Drops everything and gives the memory back.
void buf_clear(struct buf *buf);
// Wipes the bytes before they are given back: for secrets.
void buf_clear_secret(struct buf *buf);

// The bytes as a NUL-terminated string of the caller (free()); NULL when memory is short.
// The buffer is empty afterwards.
MUST_USE char *buf_take_text(struct buf *buf);

#endif
