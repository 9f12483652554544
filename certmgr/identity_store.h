// From updates to the identity in force: validate, build, swap. A bad update is refused, counted
// and visible; the last good identity stays until its notAfter. Lives on the control loop.
#ifndef CERTMGR_IDENTITY_STORE_H
#define CERTMGR_IDENTITY_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "certmgr/identity.h"
#include "certmgr/update.h"

enum identity_state {
    IDENTITY_PENDING,   // none yet
    IDENTITY_VALID,     // in force
    IDENTITY_EXPIRED,   // the last one has expired; nothing may be done with it
    IDENTITY_WITHDRAWN, // the source took it back
};
const char *identity_state_name(enum identity_state state); // "pending", ...

enum identity_outcome {
    IDENTITY_CHANGED,   // a new snapshot is in force (SVID or bundles differ)
    IDENTITY_UNCHANGED, // the same content again
    IDENTITY_REFUSED,   // bad update; `err` says why; the old state stays
    IDENTITY_GONE,      // withdrawn; there is no identity now
};

struct identity_choice { // which of several SVIDs is in use; NULL fields mean the first
    const char *spiffe_id;
    const char *hint;
};

// Why an update was refused. MALFORMED: an SVID does not parse or lacks something; NOT_OFFERED: the
// chosen one is not among them; UNTRUSTED: our own verifier would refuse us; OTHER: memory.
enum identity_refusal {
#define IDENTITY_REFUSAL(id, label) id,
#include "certmgr/identity_refusal.def"
#undef IDENTITY_REFUSAL
    IDENTITY_REFUSAL_COUNT
};
const char *identity_refusal_name(enum identity_refusal refusal); // "malformed", ...

struct identity_counts {
    uint64_t rotations; // snapshots with another SVID than before; the first one does not count
    uint64_t updates;   // accepted
    uint64_t refused;
    uint64_t refused_by[IDENTITY_REFUSAL_COUNT];
    uint64_t withdrawals;
};

struct identity_store;

struct identity_store *identity_store_new(struct identity_choice choice) MUST_USE;
void identity_store_free(struct identity_store *store);
OWN_DEFINE(struct identity_store, identity_store_free)

// Another choice from the next update on; what is in force stays until then.
bool identity_store_choose(struct identity_store *store, struct identity_choice choice,
                           struct err *err) MUST_USE;

// Validates and applies one update at `now` (Unix seconds): the SVID parses, has not expired, and
// verifies against its own bundle with our own verifier. The update stays the caller's.
enum identity_outcome identity_store_apply(struct identity_store *store,
                                           const struct update *update, int64_t now,
                                           struct err *err) MUST_USE;

// The identity in force, borrowed; NULL when there is none or it has expired at `now`.
struct identity *identity_store_current(const struct identity_store *store, int64_t now);
enum identity_state identity_store_state(const struct identity_store *store, int64_t now);
struct identity_counts identity_store_counts(const struct identity_store *store);
// The sentence of the last refused update, "" when one has been accepted since. Borrowed.
const char *identity_store_last_refusal(const struct identity_store *store);

#endif
