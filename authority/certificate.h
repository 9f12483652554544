// Making X.509 certificates: self-signed roots of a trust domain and leaves that are X509-SVIDs
// (SPIFFE X509-SVID, sections 2-4). Bytes and times in, certificates out; keeps nothing.
#ifndef AUTHORITY_CERTIFICATE_H
#define AUTHORITY_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/base.h>

#include "base/err.h"
#include "base/netaddr.h"

// How long before its making a certificate starts to be valid, for clocks that differ a little.
#define CERTIFICATE_BACKDATE_S 10

struct certificate_validity { // Unix seconds, both ends included
    int64_t not_before;
    int64_t not_after;
};

// A fresh P-256 key; the caller's. NULL with the sentence on error.
EVP_PKEY *certificate_key_new(struct err *err) MUST_USE;

// A self-signed CA for "spiffe://trust_domain": CA true and keyCertSign, cRLSign, both critical.
X509 *certificate_root_new(EVP_PKEY *key, const char *trust_domain,
                           struct certificate_validity validity, struct err *err) MUST_USE;

struct certificate_issuer { // borrowed
    X509 *cert;
    EVP_PKEY *key;
};

// A leaf for `spiffe_id` and the public half of `key`: digitalSignature (critical), serverAuth and
// clientAuth, one URI SAN, CA false.
X509 *certificate_leaf_new(struct certificate_issuer issuer, EVP_PKEY *key, const char *spiffe_id,
                           struct certificate_validity validity, struct err *err) MUST_USE;

#define CERTIFICATE_NAMES_MAX 16

struct certificate_names { // of a TLS server; the texts are borrowed
    struct netaddr ip[CERTIFICATE_NAMES_MAX];
    size_t num_ips;
    const char *dns[CERTIFICATE_NAMES_MAX];
    size_t num_dns;
};

// A leaf for a TLS server that is no SPIFFE workload: serverAuth, DNS and IP SANs.
X509 *certificate_server_new(struct certificate_issuer issuer, EVP_PKEY *key,
                             const struct certificate_names *names,
                             struct certificate_validity validity, struct err *err) MUST_USE;

// The validity of a certificate. False when its times cannot be read.
bool certificate_validity_of(const X509 *cert, struct certificate_validity *out) MUST_USE;

#endif
