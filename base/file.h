// Reading and replacing small files whole.
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

// Reads a regular file of at most `max` bytes into `out` (appended). The sentence names the path.
bool file_read(const char *path, size_t max, struct buf *out, struct err *err) MUST_USE;

// Writes all of `content`, also after interruptions and in pieces. On false errno says why, and
// some of it may have been written.
bool file_write_all(int fd, struct span content) MUST_USE;

// Writes a temporary file beside `path` with `mode`, syncs it and renames it over `path`.
bool file_write_atomic(const char *path, struct span content, mode_t mode,
                       struct err *err) MUST_USE;

#endif
