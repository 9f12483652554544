// Reads everything that a trust store is made of, one bad file never in the way of the others.
// Blocking; reads files only.
#ifndef CERTMGR_TRUST_TRUST_GATHER_H
#define CERTMGR_TRUST_TRUST_GATHER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "certmgr/trust/trust_options.h"
#include "certmgr/trust/trust_set.h"

// Files with the system's public roots, the first that is there counts; NULL ends it.
extern const char *const trust_gather_system_bundles[];

// NULL with the sentence when the public roots cannot be had (the application would lose them) or
// memory is short; whatever else is wrong is among the set's problems. `now` is Unix seconds. Where
// a file or source that `before` (may be NULL) has certificates of cannot be read any more, those
// stay: it may be half-written, or not mounted for the moment. What is removed goes.
struct trust_set *trust_gather(const struct trust_options *options, const struct trust_set *before,
                               int64_t now, struct err *err) MUST_USE;

// Appends the DER of the public roots, one after the other; nothing when there are to be none.
bool trust_gather_public_roots(const struct trust_options *options, struct buf *out,
                               struct err *err) MUST_USE;

// The path of the public roots; "" when there are to be none. NULL when the system has none.
const char *trust_gather_public_path(const struct trust_options *options);

// A number that differs when a file of the sources, a named one or the public roots changed, as far
// as stat knows.
uint64_t trust_gather_stamp(const struct trust_options *options);

#endif
