// A directory for one test's files, removed with what is in it. Short enough for socket paths and
// open to every uid for passing through.
#ifndef TESTS_AUTHORITY_TEMP_DIR_H
#define TESTS_AUTHORITY_TEMP_DIR_H

#include <stddef.h>

#define TEMP_PATH_MAX 256

struct temp_dir {
    char path[64];
};

void temp_dir_init(struct temp_dir *dir);
void temp_dir_fini(struct temp_dir *dir);
// The path of `name` in it.
void temp_dir_path(const struct temp_dir *dir, const char *name, char out[TEMP_PATH_MAX]);
// Writes a file of the caller's bytes with mode 0644 and returns its path in `out`.
void temp_dir_write(const struct temp_dir *dir, const char *name, const void *bytes, size_t len,
                    char out[TEMP_PATH_MAX]);

#endif
