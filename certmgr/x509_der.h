// Small questions about X.509 bytes that several modules of certmgr ask: splitting concatenated
// DER, parsing, times, serial numbers, key and signature strength. Pure; nothing is trusted here.
#ifndef CERTMGR_X509_DER_H
#define CERTMGR_X509_DER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/base.h>
#include <openssl/mem.h>
#include <openssl/pool.h>
#include <openssl/x509.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

OWN_DEFINE(X509, X509_free)
OWN_DEFINE(X509_CRL, X509_CRL_free)
OWN_DEFINE(EVP_PKEY, EVP_PKEY_free)
OWN_DEFINE(CRYPTO_BUFFER, CRYPTO_BUFFER_free)

// Takes the first DER element off `rest`, which is not empty.
bool x509_der_next(struct span *rest, struct span *element, struct err *err) MUST_USE;

// Parses one certificate; trailing bytes and extensions that contradict themselves are errors.
// NULL with the sentence on error.
X509 *x509_der_parse(CRYPTO_BUFFER *buffer, struct err *err) MUST_USE;

// Unix seconds. False when the time cannot be represented.
bool x509_der_not_before(const X509 *cert, int64_t *out) MUST_USE;
bool x509_der_not_after(const X509 *cert, int64_t *out) MUST_USE;

// Lower-case hex without leading zeros. False when it is over 20 bytes (RFC 5280 4.1.2.2).
bool x509_der_serial(const X509 *cert, char *out, size_t out_size) MUST_USE;

// P-256, P-384 or RSA of 2048 to 4096 bits.
bool x509_der_key_is_accepted(const X509 *cert);
bool x509_der_public_key_is_accepted(const EVP_PKEY *key);
// ECDSA or RSA with SHA-256 or better.
bool x509_der_signature_is_accepted(const X509 *cert);

// A CA certificate by its own words: version 3, cA true, no keyUsage without keyCertSign. With
// `key_usage_needed` a keyUsage must be there (SPIFFE X509-SVID, 4.3).
bool x509_der_is_ca(const X509 *cert, bool key_usage_needed);

#endif
