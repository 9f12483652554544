// A directory for one test's files, removed with what is in it, and the ways in which people
// replace files. Names are relative to it. A failure aborts.
#ifndef TESTS_CERTMGR_SCRATCH_DIR_H
#define TESTS_CERTMGR_SCRATCH_DIR_H

#include <stddef.h>

#include "base/span.h"

#define SCRATCH_PATH_MAX 256

struct scratch_dir {
    char path[64];
};

void scratch_dir_init(struct scratch_dir *dir);
void scratch_dir_fini(struct scratch_dir *dir);

struct scratch_path {
    char text[SCRATCH_PATH_MAX];
};
struct scratch_path scratch_dir_path(const struct scratch_dir *dir, const char *name);

// Truncates and writes, as an editor or `cp` does.
void scratch_dir_rewrite(const struct scratch_dir *dir, const char *name, struct span content);
// Writes beside it and renames.
void scratch_dir_replace(const struct scratch_dir *dir, const char *name, struct span content);
void scratch_dir_remove(const struct scratch_dir *dir, const char *name);
void scratch_dir_make(const struct scratch_dir *dir, const char *name); // a directory
// Makes `name` a link to `target` (as it is), in one step where there is one already.
void scratch_dir_link(const struct scratch_dir *dir, const char *name, const char *target);

#endif
