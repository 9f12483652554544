// The messages of Istio's CreateCertificate to and from values: bytes in, values
// out, no I/O. It knows the wire's rules and PEM; certificates are judged by who uses them.
#ifndef CERTMGR_ISTIO_CA_CODEC_H
#define CERTMGR_ISTIO_CA_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

#define ISTIO_CA_METHOD "/istio.v1.auth.IstioCertificateService/CreateCertificate"
#define ISTIO_CA_REQUEST_MAX ((size_t)64 * 1024)    // bytes of a request message
#define ISTIO_CA_RESPONSE_MAX ((size_t)1024 * 1024) // bytes of a response message
#define ISTIO_CA_PARTS_MAX 64                       // entries of cert_chain

// Appends an IstioCertificateRequest; the CSR goes out as PEM.
bool istio_ca_codec_encode_request(struct span csr_der, int64_t validity_s, struct buf *out,
                                   struct err *err) MUST_USE;

struct istio_ca_request {
    struct buf csr_pem; // buf_fini it
    int64_t validity_s; // as asked for: any value
};
// `out` is zero. An empty CSR is an error.
bool istio_ca_codec_decode_request(struct span message, struct istio_ca_request *out,
                                   struct err *err) MUST_USE;

// Appends an IstioCertificateResponse. Both are concatenated DER: the chain leaf first, one entry
// for each certificate; the roots together in the last entry.
bool istio_ca_codec_encode_response(struct span chain_der, struct span roots_der, struct buf *out,
                                    struct err *err) MUST_USE;

// Appends to `chain_der` every certificate of all entries but the last, and to `roots_der` those of
// the last one: an entry may hold several. At least two entries, none of them without a
// certificate. On error both are as before.
bool istio_ca_codec_decode_response(struct span message, struct buf *chain_der,
                                    struct buf *roots_der, struct err *err) MUST_USE;

#endif
