// The directory that applications read. A new store is written beside the old one, synced, and put
// in place by one rename of the link `..data`, the way the kubelet does it: what applications open
// (OUT/ca-bundle.pem) are links through `..data`, so all files change at once, and whatever ends
// this process on the way leaves the old store or the new one. The store before the last stays
// until the next one, for those who are reading it.
#ifndef CERTMGR_TRUST_TRUST_STORE_H
#define CERTMGR_TRUST_TRUST_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "certmgr/trust/trust_files.h"

#define TRUST_STORE_LOCK_WAIT_MS 10000 // for another writer

// What is there.
struct trust_store_state {
    uint64_t generation; // counts the stores written; 0: there is none
    int64_t written_ms;  // wall clock, when this one was put in place
    char digest[TRUST_FILES_DIGEST_LEN + 1];
};

// Puts `files` in place unless they are there already, and clears away what earlier writers left
// half-done. Makes the directory if need be. `*changed` says whether anything was written.
bool trust_store_write(const char *output, const struct trust_files *files,
                       struct trust_store_state *out, bool *changed, struct err *err) MUST_USE;

// What is in place; generation 0 when there is nothing. Does not look at the files.
void trust_store_read(const char *output, struct trust_store_state *out);

#endif
