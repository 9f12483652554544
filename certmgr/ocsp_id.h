// How OCSP (RFC 6960 4.1.1, CertID) names the issuer of a certificate: by digests of its name and
// key. Pure.
#ifndef CERTMGR_OCSP_ID_H
#define CERTMGR_OCSP_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/base.h>
#include <openssl/digest.h>

#include "base/own.h"

struct ocsp_id {
    uint8_t name[EVP_MAX_MD_SIZE];
    uint8_t key[EVP_MAX_MD_SIZE];
    size_t len; // of each
};

bool ocsp_id_of(const EVP_MD *md, X509 *leaf, X509 *issuer, struct ocsp_id *out) MUST_USE;

// By name and signature.
bool ocsp_id_is_issuer(X509 *leaf, X509 *issuer);

#endif
