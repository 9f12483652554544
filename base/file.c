#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP 4096

// A name that leads nowhere is the user's mistake; everything else is the system refusing.
static enum err_class class_of(int errnum) {
    switch (errnum) {
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
        return ERR_INPUT;
    default:
        return ERR_ENVIRONMENT;
    }
}

static bool read_all(int fd, const char *path, size_t max, struct buf *out, struct err *err) {
    for (;;) {
        size_t room = max - out->len < READ_STEP ? max - out->len + 1 : READ_STEP;
        uint8_t *to = buf_reserve(out, room);
        if (to == NULL) {
            return ERR_SET(err, ERR_ENVIRONMENT, "cannot allocate memory while reading %s", path);
        }
        ssize_t got = read(fd, to, room);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return ERR_SET_ERRNO(err, class_of(errno), errno, "cannot read %s", path);
        }
        if (got == 0) {
            return true;
        }
        buf_commit(out, (size_t)got);
        if (out->len > max) {
            return ERR_SET(err, ERR_INPUT, "%s is larger than %zu bytes", path, max);
        }
    }
}

static bool read_regular(int fd, const char *path, size_t max, struct buf *out, struct err *err) {
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot read %s", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return ERR_SET(err, ERR_INPUT, "%s is not a regular file", path);
    }
    if ((uintmax_t)st.st_size > max) {
        return ERR_SET(err, ERR_INPUT, "%s is larger than %zu bytes", path, max);
    }
    // One allocation of the whole size, so that no copy of a key is left behind by growing.
    if (buf_reserve(out, (size_t)st.st_size + READ_STEP) == NULL) {
        return ERR_SET(err, ERR_ENVIRONMENT, "cannot allocate memory while reading %s", path);
    }
    return read_all(fd, path, max, out, err);
}

// Adds `content` to `out` and leaves it empty.
static bool hand_over(struct buf *content, struct buf *out) {
    if (content->len == 0) { // an empty file: reserved, never committed
        return true;
    }
    if (out->len == 0) {
        buf_clear(out);
        *out = *content;
        buf_init(content);
        return true;
    }
    return buf_append(out, content->mem + content->start, content->len);
}

bool file_read(const char *path, size_t max, struct buf *out, struct err *err) {
    // O_NONBLOCK: opening a FIFO or a device must not hang before it can be refused.
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return ERR_SET_ERRNO(err, class_of(errno), errno, "cannot read %s", path);
    }
    struct buf content = {0};
    bool ok = read_regular(fd, path, max, &content, err);
    close(fd);
    if (ok && !hand_over(&content, out)) {
        ok = ERR_SET(err, ERR_ENVIRONMENT, "cannot allocate memory while reading %s", path);
    }
    buf_clear_secret(&content);
    return ok;
}

bool file_write_all(int fd, struct span content) {
    while (content.len > 0) {
        ssize_t put = write(fd, content.ptr, content.len);
        if (put < 0 && errno != EINTR) {
            return false;
        }
        content = span_after(content, put < 0 ? 0 : (size_t)put);
    }
    return true;
}

// "DIR/.NAME.XXXXXX": in the same directory, so that the rename is atomic. NULL: memory is short.
static char *temporary_name(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    char *text = NULL;
    int len = asprintf(&text, "%.*s.%s.XXXXXX", (int)(name - path), path, name);
    return len < 0 ? NULL : text;
}

static bool fill_and_rename(int fd, const char *temporary, const char *path, struct span content,
                            mode_t mode) {
    return fchmod(fd, mode) == 0 && file_write_all(fd, content) && fsync(fd) == 0 &&
           rename(temporary, path) == 0;
}

// Makes the rename itself durable. Best effort: the content is complete under either name, and not
// every file system can sync a directory.
static void sync_directory(const char *temporary) {
    const char *slash = strrchr(temporary, '/');
    char *dir = slash == NULL ? strdup(".") : strndup(temporary, (size_t)(slash - temporary) + 1);
    int fd = dir == NULL ? -1 : open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(dir);
}

bool file_write_atomic(const char *path, struct span content, mode_t mode, struct err *err) {
    char *temporary = temporary_name(path);
    if (temporary == NULL) {
        return ERR_SET(err, ERR_ENVIRONMENT, "cannot allocate memory while writing %s", path);
    }
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        int errnum = errno;
        free(temporary);
        return ERR_SET_ERRNO(err, class_of(errnum), errnum, "cannot write %s", path);
    }
    bool ok = fill_and_rename(fd, temporary, path, content, mode);
    int errnum = errno;
    close(fd);
    if (ok) {
        sync_directory(temporary);
    } else {
        unlink(temporary);
        ERR_SET_ERRNO(err, class_of(errnum), errnum, "cannot write %s", path);
    }
    free(temporary);
    return ok;
}
