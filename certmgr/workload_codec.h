// The messages of the SPIFFE Workload API (X.509 part) to and from updates: bytes
// in, a value out, no I/O. It knows the wire's rules only; certificates and SPIFFE IDs are judged
// by the store.
#ifndef CERTMGR_WORKLOAD_CODEC_H
#define CERTMGR_WORKLOAD_CODEC_H

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"
#include "certmgr/proto_budget.h"
#include "certmgr/update.h"

#define WORKLOAD_MESSAGE_MAX (4 * 1024 * 1024) // bytes of one message, both ways
#define WORKLOAD_SVIDS_MAX 64                  // entries of each kind in one message
#define WORKLOAD_BUNDLES_MAX 1024
#define WORKLOAD_CRLS_MAX 1024

// What decoding a message of `len` bytes may allocate at any time beside the update itself (which
// takes at most as much as the message, plus its bounded arrays).
#define WORKLOAD_DECODE_BUDGET(len) PROTO_BUDGET_FOR(len)

// X509SVIDResponse. A response without any SVID gives `withdrawn` (an absent field means removed).
// A mandatory field that is empty, or more than the limits above, is an error and the whole message
// is to be discarded. Of federated entries with the same key the last one wins; an entry without
// certificates is left out (that domain has no trust). Of SVIDs with the same hint the first one
// is kept. NULL with the sentence on error.
struct update *workload_decode_svids(struct span message, struct err *err) MUST_USE;

// X509BundlesResponse: `federated` holds every bundle, the own trust domain's too; no SVIDs.
struct update *workload_decode_bundles(struct span message, struct err *err) MUST_USE;

// Appends an X509SVIDResponse. `out` then holds private keys: buf_clear_secret it. An update that
// is withdrawn gives the empty message.
bool workload_encode_svids(const struct update *update, struct buf *out, struct err *err) MUST_USE;

// Appends an X509BundlesResponse of `federated` (put the own trust domain's bundle there too) and
// `crls`; SVIDs are not looked at.
bool workload_encode_bundles(const struct update *update, struct buf *out,
                             struct err *err) MUST_USE;

#endif
