#include "certmgr/trust/trust_walk.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "certmgr/file_watch.h"

#define TYPE_MAX 256 // bytes of a binding's `type`
#define BINDING_TYPE "ca-certificates"

struct walk {
    const struct trust_walk_sink *sink;
    bool stopped;
};

// The names of a directory that count, sorted by their bytes.
struct names {
    char **items;
    size_t num, cap;
};

static void names_free(struct names *names) {
    for (size_t i = 0; i < names->num; i++) {
        free(names->items[i]);
    }
    free(names->items);
}
#define NAMES __attribute__((cleanup(names_free))) struct names

static bool names_add(struct names *names, const char *name) {
    if (names->num == names->cap) {
        size_t cap = names->cap == 0 ? 64 : 2 * names->cap;
        char **items = reallocarray(names->items, cap, sizeof(*items));
        if (items == NULL) {
            return false;
        }
        names->items = items;
        names->cap = cap;
    }
    names->items[names->num] = strdup(name);
    return names->items[names->num] != NULL && ++names->num > 0;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void skip(struct walk *walk, const char *path, const char *why) {
    walk->stopped = walk->stopped || !walk->sink->skipped(walk->sink->arg, path, why);
}

static void skip_errno(struct walk *walk, const char *path, int errnum) {
    char why[128];
    (void)snprintf(why, sizeof(why), "%s", strerror(errnum));
    skip(walk, path, why);
}

static char *join(const char *dir, const char *name) {
    char *path = NULL;
    size_t len = strlen(dir);
    bool has_slash = len > 0 && dir[len - 1] == '/';
    return asprintf(&path, "%s%s%s", dir, has_slash ? "" : "/", name) < 0 ? NULL : path;
}

static void free_text(char *text) {
    free(text);
}
OWN_DEFINE(char, free_text)

// Reads the names; false when it was skipped or memory is short.
static bool list(struct walk *walk, const char *dir, struct names *out) {
    DIR *stream = opendir(dir);
    if (stream == NULL) {
        skip_errno(walk, dir, errno);
        return false;
    }
    bool ok = true;
    const struct dirent *entry;
    while (ok && (entry = readdir(stream)) != NULL) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        if (out->num == TRUST_WALK_ENTRIES_MAX) {
            skip(walk, dir, "it has too many entries; the rest was not read");
            break;
        }
        ok = names_add(out, entry->d_name);
    }
    (void)closedir(stream);
    walk->stopped = walk->stopped || !ok;
    if (ok && out->num > 0) {
        qsort(out->items, out->num, sizeof(*out->items), compare_names);
    }
    return ok;
}

// Whether a directory is a binding: its `type` says so.
static bool is_binding(const char *dir) {
    OWNED(free_text) char *path = join(dir, "type");
    struct buf text = {0};
    struct err err = {0};
    struct stat st;
    bool is = path != NULL && stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
              file_read(path, TYPE_MAX, &text, &err);
    struct span said = buf_span(&text);
    while (said.len > 0 && strchr(" \t\r\n", said.ptr[said.len - 1]) != NULL) {
        said.len--;
    }
    is = is && span_equal_text(said, BINDING_TYPE);
    buf_fini(&text);
    return is;
}

static const char *kind_of(mode_t mode) {
    switch (mode & S_IFMT) {
    case S_IFIFO:
        return "it is a FIFO, not a file";
    case S_IFSOCK:
        return "it is a socket, not a file";
    case S_IFCHR:
    case S_IFBLK:
        return "it is a device, not a file";
    default:
        return "it is not a regular file";
    }
}

static void walk_directory(struct walk *walk, const char *dir, bool may_descend);

static void walk_entry(struct walk *walk, const char *path, bool may_descend) {
    struct stat st;
    if (stat(path, &st) != 0) {
        skip_errno(walk, path, errno);
    } else if (S_ISREG(st.st_mode)) {
        walk->stopped = !walk->sink->file(walk->sink->arg, path);
    } else if (!S_ISDIR(st.st_mode)) {
        skip(walk, path, kind_of(st.st_mode));
    } else if (may_descend && is_binding(path)) {
        walk_directory(walk, path, false);
    } else {
        skip(walk, path,
             "it is a sub-directory; only files are read, and bindings whose file "
             "`type` says " BINDING_TYPE);
    }
}

static void walk_directory(struct walk *walk, const char *dir, bool may_descend) {
    NAMES names = {0};
    if (walk->sink->directory != NULL) {
        walk->stopped = walk->stopped || !walk->sink->directory(walk->sink->arg, dir);
    }
    if (walk->stopped || !list(walk, dir, &names)) {
        return;
    }
    bool binding = is_binding(dir);
    for (size_t i = 0; i < names.num && !walk->stopped; i++) {
        const char *name = names.items[i];
        if (binding && (strcmp(name, "type") == 0 || strcmp(name, "provider") == 0)) {
            continue;
        }
        OWNED(free_text) char *path = join(dir, name);
        if (path == NULL) {
            walk->stopped = true;
        } else {
            walk_entry(walk, path, may_descend && !binding);
        }
    }
}

bool trust_walk(const char *source, const struct trust_walk_sink *sink) {
    struct walk walk = {.sink = sink};
    struct stat st;
    if (stat(source, &st) == 0 && S_ISDIR(st.st_mode)) {
        walk_directory(&walk, source, true);
    } else {
        walk_entry(&walk, source, false);
    }
    return !walk.stopped;
}

// --- stamps ---

#define FNV_START UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

static void mix_byte(uint64_t *hash, uint8_t byte) {
    *hash = (*hash ^ byte) * FNV_PRIME;
}

static void mix_text(uint64_t *hash, const char *text) {
    for (; *text != '\0'; text++) {
        mix_byte(hash, (uint8_t)*text);
    }
    mix_byte(hash, 0);
}

static void mix_number(uint64_t *hash, uint64_t number) {
    for (unsigned bit = 0; bit < 64; bit += 8) {
        mix_byte(hash, (uint8_t)(number >> bit));
    }
}

static bool stamp_file(void *arg, const char *path) {
    struct file_stamp stamp = file_watch_stamp(path);
    mix_text(arg, path);
    mix_number(arg, (uint64_t)stamp.error);
    mix_number(arg, stamp.device);
    mix_number(arg, stamp.inode);
    mix_number(arg, (uint64_t)stamp.size);
    mix_number(arg, (uint64_t)stamp.modified_ns);
    mix_number(arg, (uint64_t)stamp.changed_ns);
    return true;
}

static bool stamp_skipped(void *arg, const char *path, const char *why) {
    mix_text(arg, path);
    mix_text(arg, why);
    return true;
}

bool trust_walk_stamp(const char *source, uint64_t *out) {
    uint64_t hash = FNV_START;
    const struct trust_walk_sink sink = {
        .arg = &hash, .file = stamp_file, .skipped = stamp_skipped};
    if (!trust_walk(source, &sink)) {
        return false;
    }
    *out = hash;
    return true;
}
