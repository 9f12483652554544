// From a CA's answer to something that can be delivered, or a sentence: the answer is judged by the
// same rules as every identity (svid.h, identity_store.h) before the source calls the request a
// success. Pure.
#ifndef CERTMGR_ISTIO_CA_REPLY_H
#define CERTMGR_ISTIO_CA_REPLY_H

#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"
#include "certmgr/update.h"

struct istio_ca_validity { // Unix seconds
    int64_t not_before;    // of the leaf
    int64_t not_after;     // the least of the chain
};

struct istio_ca_question { // what was asked; borrowed
    struct span key_der;   // PKCS#8: the key of the request
    const char *spiffe_id; // NULL: any
};

// `message` is an IstioCertificateResponse. The leaf is for the question's key and has a SPIFFE ID,
// the one of the question if that has one; the chain verifies at `now` (Unix seconds) against the
// roots that came with it. The caller's. NULL with the sentence on error.
struct update *istio_ca_reply_open(struct span message, const struct istio_ca_question *question,
                                   int64_t now, struct istio_ca_validity *validity,
                                   struct err *err) MUST_USE;

#endif
