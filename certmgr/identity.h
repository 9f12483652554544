// The identity in force: our SVID, every trust bundle, and a generation that grows with each
// change. An immutable snapshot, shared by reference count between threads; it is swapped, never
// changed.
#ifndef CERTMGR_IDENTITY_H
#define CERTMGR_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "certmgr/bundle.h"
#include "certmgr/svid.h"
#include "certmgr/verify_cache.h"

struct identity;

// Takes one reference of each SVID (the array itself stays the caller's) and of `bundles`.
// svids[0] is the one in use. `num` is at least 1. NULL when memory is short.
struct identity *identity_new(uint64_t generation, struct svid *const *svids, size_t num,
                              struct bundle_set *bundles) MUST_USE;
struct identity *identity_ref(struct identity *identity);
void identity_unref(struct identity *identity);
OWN_DEFINE(struct identity, identity_unref)

uint64_t identity_generation(const struct identity *identity);
struct svid *identity_svid(const struct identity *identity); // the one in use; borrowed
size_t identity_num_svids(const struct identity *identity);
struct svid *identity_svid_at(const struct identity *identity, size_t index); // borrowed
struct bundle_set *identity_bundles(const struct identity *identity);         // borrowed
struct verify_cache *identity_verify_cache(const struct identity *identity);  // over the bundles
struct span identity_trust_domain(const struct identity *identity);           // of the SVID in use

#endif
