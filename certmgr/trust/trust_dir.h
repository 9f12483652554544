// Directories and files of a trust store, below an open directory: made readable for everybody
// whatever the umask, compared, removed. No link is followed. Errors are in errno.
#ifndef CERTMGR_TRUST_TRUST_DIR_H
#define CERTMGR_TRUST_TRUST_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/own.h"
#include "base/span.h"

#define TRUST_DIR_NAME_MAX 64

int trust_dir_open(int parent, const char *name); // -1 on error
bool trust_dir_make(int parent, const char *name) MUST_USE;
// An absolute path, with what is missing above it.
bool trust_dir_make_all(const char *path) MUST_USE;

// A new file of mode 0644.
bool trust_dir_write(int dir, const char *path, struct span content) MUST_USE;
// Writes it beside and renames it: a file of mode 0644, whatever was there.
bool trust_dir_replace(int dir, const char *name, struct span content) MUST_USE;
// Whether a regular file has exactly this content.
bool trust_dir_file_is(int dir, const char *path, struct span content);

// A directory with all that is in it, as deep as a store is.
void trust_dir_remove(int parent, const char *name);

// "..2026_01_31_23_59_59.123456789": a generation's directory.
void trust_dir_generation_name(const struct timespec *when, char out[TRUST_DIR_NAME_MAX]);
bool trust_dir_is_generation(const char *name);
// Removes all generations but this one ("" for none).
void trust_dir_remove_generations(int parent, const char *keep);

#endif
