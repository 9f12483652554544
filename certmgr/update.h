// What a source of certificates delivers: a complete state as it came, not yet validated.
// A plain heap value with one owner, handed from the source's thread to the control loop.
#ifndef CERTMGR_UPDATE_H
#define CERTMGR_UPDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/own.h"
#include "base/span.h"

struct update_bytes { // owned bytes
    uint8_t *ptr;
    size_t len;
};

struct update_svid {
    struct update_bytes spiffe_id;
    struct update_bytes chain;  // DER, leaf first, concatenated
    struct update_bytes key;    // PKCS#8 DER; wiped when the update is freed
    struct update_bytes bundle; // DER certificates of the SVID's own trust domain, concatenated
    struct update_bytes hint;
};

struct update_bundle {
    struct update_bytes trust_domain_id; // "spiffe://td" as the source wrote it
    struct update_bytes der;
};

struct update {
    bool withdrawn;  // the source says that we have no identity (any more); the rest is empty
    bool takes_kept; // no full state: kept bundles may fill its gaps (kept_bundles.h)
    struct update_svid *svids;
    size_t num_svids;
    struct update_bundle *federated;
    size_t num_federated;
    struct update_bytes *crls;
    size_t num_crls;
};

// An empty update with arrays of these sizes, all zero. NULL when memory is short.
struct update *update_new(size_t num_svids, size_t num_federated, size_t num_crls) MUST_USE;
void update_free(struct update *update);
OWN_DEFINE(struct update, update_free)

// Copies `bytes`; false when memory is short.
bool update_bytes_set(struct update_bytes *out, struct span bytes) MUST_USE;
struct span update_bytes_span(const struct update_bytes *bytes);

#endif
