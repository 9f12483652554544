// From one entry of trustStore.sources to the files that are to be read: a file is itself, a
// directory its regular files in the order of their names. Links to regular files are followed,
// sub-directories are not, except for the layout of servicebinding.io (a directory whose file
// `type` says ca-certificates). Names with a leading dot are left alone: Kubernetes' `..data`, the
// temporary files of editors. Nothing else is opened: no FIFO, no device.
#ifndef CERTMGR_TRUST_TRUST_WALK_H
#define CERTMGR_TRUST_TRUST_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/own.h"

#define TRUST_WALK_ENTRIES_MAX 200000 // of one directory

// Who is told. Each returns false to stop (memory is short).
struct trust_walk_sink {
    void *arg;
    bool (*file)(void *arg, const char *path);
    bool (*directory)(void *arg, const char *path); // one whose entries count; may be NULL
    bool (*skipped)(void *arg, const char *path, const char *why);
};

// False when a sink stopped or memory is short.
bool trust_walk(const char *source, const struct trust_walk_sink *sink) MUST_USE;

// A number that differs when a file of `source` has come, gone or changed, as far as stat knows.
// False when memory is short.
bool trust_walk_stamp(const char *source, uint64_t *out) MUST_USE;

#endif
