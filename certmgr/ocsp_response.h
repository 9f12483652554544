// An OCSP response (RFC 6960) about a certificate of our own, before it is stapled: read, and
// verified by the certificate's issuer. Pure; the times are for the caller to judge.
#ifndef CERTMGR_OCSP_RESPONSE_H
#define CERTMGR_OCSP_RESPONSE_H

#include <stdint.h>

#include <openssl/base.h>

#include "base/err.h"
#include "base/span.h"

#define OCSP_RESPONSE_MAX 65536

enum ocsp_status { OCSP_GOOD, OCSP_REVOKED, OCSP_UNKNOWN };
const char *ocsp_status_name(enum ocsp_status status); // "good", ...

struct ocsp_response {
    enum ocsp_status status;
    int64_t this_update; // Unix seconds
    int64_t next_update; // INT64_MAX: it does not say
};

// False with the sentence unless `der` is a basic response that speaks of `leaf` and is signed by
// `issuer`, or by a certificate in it that the issuer has signed for OCSP, whichever it says that
// it comes from. RSA (PKCS #1) and ECDSA signatures with SHA-256, SHA-384 or SHA-512.
bool ocsp_response_read(struct span der, X509 *leaf, X509 *issuer, struct ocsp_response *out,
                        struct err *err) MUST_USE;

#endif
