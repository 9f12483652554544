// All files of a trust store as bytes: what a set of certificates looks like to each runtime. Pure.
#ifndef CERTMGR_TRUST_TRUST_FILES_H
#define CERTMGR_TRUST_TRUST_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "certmgr/trust/trust_options.h"
#include "certmgr/trust/trust_set.h"

// The names that applications see in the output directory.
extern const char *const trust_files_visible[];
#define TRUST_FILES_VISIBLE 8

struct trust_file {
    char *path; // relative: "ca-bundle.pem", "certs/1a2b3c4d.0"
    struct buf content;
};

struct trust_files {
    struct trust_file *items;
    size_t num, cap;
};

// Fills `out`, which is zeroed; trust_files_fini in any case.
bool trust_files_render(const struct trust_set *set, const struct trust_options *options,
                        struct trust_files *out, struct err *err) MUST_USE;
void trust_files_fini(struct trust_files *files);

// A SHA-256 over all of it, as hex: equal stores have equal ones.
#define TRUST_FILES_DIGEST_LEN 64
void trust_files_digest(const struct trust_files *files, char out[TRUST_FILES_DIGEST_LEN + 1]);

#endif
