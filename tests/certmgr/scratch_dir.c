#include "tests/certmgr/scratch_dir.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

void scratch_dir_init(struct scratch_dir *dir) {
    (void)snprintf(dir->path, sizeof dir->path, "%s/pavise-test-XXXXXX", P_tmpdir);
    CHECK(mkdtemp(dir->path) != NULL);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk) {
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

void scratch_dir_fini(struct scratch_dir *dir) {
    (void)nftw(dir->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

struct scratch_path scratch_dir_path(const struct scratch_dir *dir, const char *name) {
    struct scratch_path path;
    CHECK(snprintf(path.text, sizeof path.text, "%s/%s", dir->path, name) < SCRATCH_PATH_MAX);
    return path;
}

void scratch_dir_rewrite(const struct scratch_dir *dir, const char *name, struct span content) {
    struct scratch_path path = scratch_dir_path(dir, name);
    int fd = open(path.text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    CHECK(content.len == 0 || write(fd, content.ptr, content.len) == (ssize_t)content.len);
    CHECK(close(fd) == 0);
}

void scratch_dir_replace(const struct scratch_dir *dir, const char *name, struct span content) {
    struct scratch_path path = scratch_dir_path(dir, name);
    struct scratch_path beside = scratch_dir_path(dir, ".beside");
    scratch_dir_rewrite(dir, ".beside", content);
    CHECK(rename(beside.text, path.text) == 0);
}

void scratch_dir_remove(const struct scratch_dir *dir, const char *name) {
    struct scratch_path path = scratch_dir_path(dir, name);
    CHECK(remove(path.text) == 0);
}

void scratch_dir_make(const struct scratch_dir *dir, const char *name) {
    struct scratch_path path = scratch_dir_path(dir, name);
    CHECK(mkdir(path.text, 0700) == 0);
}

void scratch_dir_link(const struct scratch_dir *dir, const char *name, const char *target) {
    struct scratch_path path = scratch_dir_path(dir, name);
    struct scratch_path beside = scratch_dir_path(dir, ".link");
    CHECK(symlink(target, beside.text) == 0);
    CHECK(rename(beside.text, path.text) == 0);
}
