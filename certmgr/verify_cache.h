// Verdicts about peers' chains that were verified before. Path validation is most of what a full
// handshake costs, and the same few peers come again and again. Only VERIFY_OK is kept, for one
// bundle set (which the cache belongs to and dies with), and only for as long as nothing that the
// verdict rests on begins or ends: certificates, and CRLs. The proof that the peer holds the key is
// not part of a verdict; TLS asks for it each time. Thread-safe: a mutex, taken once per handshake.
#ifndef CERTMGR_VERIFY_CACHE_H
#define CERTMGR_VERIFY_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/base.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"
#include "certmgr/bundle.h"
#include "certmgr/verify.h"

#define VERIFY_CACHE_MAX 1024 // chains; the one that was used longest ago goes

struct verify_cache;

// Takes a reference of `bundles`. NULL when memory is short.
struct verify_cache *verify_cache_new(struct bundle_set *bundles) MUST_USE;
void verify_cache_free(struct verify_cache *cache);
OWN_DEFINE(struct verify_cache, verify_cache_free)

// The verdict that verify_peer would give at `question->now`.
enum verify_result verify_cache_ask(struct verify_cache *cache,
                                    const struct verify_question *question, struct peer *out,
                                    struct err *err) MUST_USE;

struct verify_cache_counts {
    uint64_t hits;
    uint64_t misses; // verified anew, whatever came of it
    size_t entries;
};
struct verify_cache_counts verify_cache_counts(struct verify_cache *cache);

#endif
