#include "agent/trust/trust_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "certmgr/file_watch.h"
#include "certmgr/trust/trust_gather.h"
#include "certmgr/trust/trust_walk.h"

// A name that no file has: to watch where it would be is to watch its directory.
#define NOBODY ".pavise-watches"

struct trust_watch {
    struct file_watch *files;
};

struct paths {
    char *items[TRUST_WATCH_PATHS_MAX];
    size_t num;
};

struct trust_watch *trust_watch_new(void) {
    OWNED(trust_watch_free) struct trust_watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL) {
        return NULL;
    }
    watch->files = file_watch_new();
    return watch->files == NULL ? NULL : take(&watch);
}

void trust_watch_free(struct trust_watch *watch) {
    if (watch == NULL) {
        return;
    }
    file_watch_free(watch->files);
    free(watch);
}

// Without memory or room one path is not followed; the owner looks again now and then anyway.
static bool add(struct paths *paths, const char *dir, const char *name) {
    char *path = NULL;
    if (paths->num < TRUST_WATCH_PATHS_MAX && asprintf(&path, "%s%s", dir, name) >= 0) {
        paths->items[paths->num++] = path;
    }
    return true;
}

// A file that is no link is watched with its directory.
static bool on_file(void *arg, const char *path) {
    struct stat st;
    bool is_link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
    return !is_link || add(arg, path, "");
}

static bool on_directory(void *arg, const char *path) {
    return add(arg, path, "/" NOBODY);
}

static bool on_skipped(void *arg UNUSED, const char *path UNUSED, const char *why UNUSED) {
    return true;
}

void trust_watch_follow(struct trust_watch *watch, const struct trust_options *options) {
    struct paths paths = {0};
    const struct trust_walk_sink sink = {
        .arg = &paths, .file = on_file, .directory = on_directory, .skipped = on_skipped};
    const char *roots = trust_gather_public_path(options);
    for (size_t i = 0; i < options->num_sources; i++) {
        add(&paths, options->sources[i], ""); // where it is, or would be
    }
    for (size_t i = 0; i < options->num_named; i++) {
        if (options->named[i].file != NULL) {
            add(&paths, options->named[i].file, "");
        }
    }
    if (roots != NULL && roots[0] != '\0') {
        add(&paths, roots, "");
    }
    for (size_t i = 0; i < options->num_sources; i++) {
        (void)!trust_walk(options->sources[i], &sink);
    }
    file_watch_follow(watch->files, (const char *const *)paths.items, paths.num);
    for (size_t i = 0; i < paths.num; i++) {
        free(paths.items[i]);
    }
}

int trust_watch_fd(const struct trust_watch *watch) {
    return file_watch_fd(watch->files);
}

bool trust_watch_drain(struct trust_watch *watch) {
    return file_watch_drain(watch->files);
}
