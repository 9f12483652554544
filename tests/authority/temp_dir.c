#include "tests/authority/temp_dir.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

void temp_dir_init(struct temp_dir *dir) {
    (void)snprintf(dir->path, sizeof(dir->path), "%s/authority-test-XXXXXX", P_tmpdir);
    CHECK(mkdtemp(dir->path) != NULL);
    CHECK(chmod(dir->path, 0755) == 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk) {
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

void temp_dir_fini(struct temp_dir *dir) {
    (void)nftw(dir->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void temp_dir_path(const struct temp_dir *dir, const char *name, char out[TEMP_PATH_MAX]) {
    CHECK(snprintf(out, TEMP_PATH_MAX, "%s/%s", dir->path, name) < TEMP_PATH_MAX);
}

void temp_dir_write(const struct temp_dir *dir, const char *name, const void *bytes, size_t len,
                    char out[TEMP_PATH_MAX]) {
    temp_dir_path(dir, name, out);
    int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    CHECK(fd >= 0);
    CHECK(write(fd, bytes, len) == (ssize_t)len);
    CHECK(close(fd) == 0);
}
