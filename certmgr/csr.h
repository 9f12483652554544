// Certificate signing requests (PKCS#10, RFC 2986): making one with a fresh key, and opening one of
// somebody else. Bytes in, bytes out; keeps nothing.
#ifndef CERTMGR_CSR_H
#define CERTMGR_CSR_H

#include <stdbool.h>

#include <openssl/base.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

// Makes a P-256 key and a request for it: empty subject, SHA-256, and one extension, a critical
// URI SAN with `spiffe_id` (NULL: none; the CA decides in any case). Appends the request as DER and
// the key as PKCS#8 DER, which is a secret: buf_clear_secret it.
bool csr_new(const char *spiffe_id, struct buf *csr_der, struct buf *key_der,
             struct err *err) MUST_USE;

// The public key of a PEM request, once its signature has proved that the requester holds the
// private one. P-256, P-384 or RSA of 2048 to 4096 bits; nothing else in the request matters. The
// caller's. NULL with the sentence on error.
EVP_PKEY *csr_open(struct span pem, struct err *err) MUST_USE;

#endif
