// Certificates, CRLs and private keys as people keep them in files: PEM (several blocks, text in
// between, CRLF) or DER. The result is DER, as struct update wants it. Parsing only: nothing is
// trusted or matched here, and nothing of a key ever reaches a message.
// `name` says in messages where the bytes come from: a path, "the answer's certificate chain".
#ifndef CERTMGR_PEM_H
#define CERTMGR_PEM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

#define PEM_INPUT_MAX ((size_t)1 << 20) // bytes of one input
#define PEM_BLOCKS_MAX 512              // certificates or CRLs in one input

// Appends every certificate, concatenated. At least one; PEM blocks of another kind (a key in the
// same file) are passed over. Each one parses as X.509. On error `out` is as before.
bool pem_parse_certificates(struct span input, const char *name, struct buf *out,
                            struct err *err) MUST_USE;

// Appends every CRL, concatenated (x509_der_next takes them apart). At least one.
bool pem_parse_crls(struct span input, const char *name, struct buf *out, struct err *err) MUST_USE;

// Appends the one private key as PKCS#8 DER: PKCS#8, SEC1 (EC) or PKCS#1 (RSA). Encrypted keys and
// several keys are errors. `out` is a secret: buf_clear_secret it.
bool pem_parse_key(struct span input, const char *name, struct buf *out, struct err *err) MUST_USE;

// Appends one PEM block: label "CERTIFICATE", "CERTIFICATE REQUEST" and the like, 64 characters to
// the line. False when memory is short.
bool pem_render(const char *label, struct span der, struct buf *out) MUST_USE;

#endif
