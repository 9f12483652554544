// The messages of Envoy's secret discovery service v3: bytes in, a value out, and
// requests the other way; no I/O. It knows the wire's rules only: what the secrets hold is judged
// in sds_material.c.
#ifndef CERTMGR_SDS_CODEC_H
#define CERTMGR_SDS_CODEC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"
#include "certmgr/update.h"

#define SDS_MESSAGE_MAX (4 * 1024 * 1024) // bytes
#define SDS_SECRETS_MAX 64                // in one response
#define SDS_DOMAINS_MAX 1024              // trust domains of one secret
#define SDS_PATH_MAX 4096                 // bytes of a file name or a variable's name

struct sds_request {
    const char *node_id;  // NULL: not the first request of a stream
    struct span version;  // the last good one, "" at first
    struct span nonce;    // of the response that is answered, else ""
    const char *names[2]; // of the secrets
    const char *refusal;  // NULL: ACK; otherwise why not (NACK)
};

// Appends a DiscoveryRequest.
bool sds_encode_request(const struct sds_request *request, struct buf *out,
                        struct err *err) MUST_USE;

enum sds_data_kind { SDS_DATA_NONE, SDS_DATA_INLINE, SDS_DATA_FILE, SDS_DATA_ENVIRONMENT };

struct sds_data { // a DataSource
    enum sds_data_kind kind;
    struct update_bytes value; // the bytes themselves, or a path or name that ends with a NUL
};

struct sds_domain {
    struct update_bytes name; // "example.org"
    struct sds_data bundle;
};

enum sds_secret_kind {
    SDS_SECRET_OTHER, // neither of the two
    SDS_SECRET_CERTIFICATE,
    SDS_SECRET_BUNDLE,
};

struct sds_secret {
    enum sds_secret_kind kind;
    struct update_bytes name;
    struct sds_data chain;
    struct sds_data key;        // wiped when freed
    struct sds_data trusted_ca; // NONE where the SPIFFE validator's domains are given
    struct sds_data crl;
    struct sds_domain *domains;
    size_t num_domains;
};
void sds_secret_free(struct sds_secret *secret);
OWN_DEFINE(struct sds_secret, sds_secret_free)

struct sds_response {
    struct update_bytes version;
    struct update_bytes nonce;
    bool is_good;       // otherwise: to be refused (NACK), and `refusal` says why
    struct err refusal; // nothing secret in it
    struct sds_secret *secrets[SDS_SECRETS_MAX];
    size_t num_secrets;
};

// DiscoveryResponse. NULL with the sentence when it cannot even be answered. A response that names
// a secret twice, holds one that we could obey in part only (peers limited by hash or name), an
// empty or ambiguous DataSource, or more than the limits above, is not good.
struct sds_response *sds_decode_response(struct span message, struct err *err) MUST_USE;
void sds_response_free(struct sds_response *response);
OWN_DEFINE(struct sds_response, sds_response_free)

#endif
