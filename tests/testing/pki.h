// An in-memory PKI for tests: certificates of every good and bad kind, made on the spot, so that
// nothing in the repository expires. A failure inside is a bug of the test and aborts.
#ifndef TESTS_TESTING_PKI_H
#define TESTS_TESTING_PKI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/base.h>
#include <openssl/pool.h>

#include "base/own.h"
#include "base/span.h"

#define PKI_NOW 1800000000            // a time at which the defaults are valid (as they are today)
#define PKI_NOT_BEFORE 946684800      // 2000-01-01: default
#define PKI_NOT_AFTER 4102444800      // 2100-01-01: default
#define PKI_NAMES_MAX 4               // SANs of one kind
#define PKI_ABSENT ((const char *)"") // an extension that is left out

// RSA keys over 2048 bits are public only: such a certificate can be issued but signs nothing.
enum pki_key {
    PKI_P256, // the default
    PKI_P224,
    PKI_P384,
    PKI_P521,
    PKI_ED25519,
    PKI_RSA512,
    PKI_RSA1024,
    PKI_RSA2048,
    PKI_RSA4096,
    PKI_RSA8192,
};

enum pki_digest { PKI_SHA256, PKI_SHA1, PKI_SHA384, PKI_SHA512 };

// What a certificate says. All zero: a well-formed leaf without SANs. Extension texts are
// OpenSSL's configuration syntax ("critical,digitalSignature"); NULL is the default for a leaf or
// a CA, PKI_ABSENT leaves the extension out.
struct pki_options {
    bool ca;
    const char *common_name; // NULL: random, so that two CAs never share a name; "": empty subject
    enum pki_key key;
    enum pki_digest digest;
    EVP_PKEY *use_key; // instead of a fresh one; borrowed
    int64_t not_before;
    int64_t not_after;
    uint64_t serial;                   // 0: random
    struct span uris[PKI_NAMES_MAX];   // URI SANs, any bytes
    struct span dns[PKI_NAMES_MAX];    // DNS SANs, any bytes
    struct span emails[PKI_NAMES_MAX]; // e-mail SANs, any bytes
    struct span san_der;               // the SAN extension's value as it is, instead of the above
    struct span second_san_der;        // a second SAN extension
    const char *basic_constraints;     // "critical,CA:FALSE"
    const char *key_usage;             // "critical,digitalSignature"; CA: keyCertSign, cRLSign
    const char *extended_key_usage;    // "serverAuth,clientAuth"; CA: absent
    const char *name_constraints;      // "permitted;URI:example.org"; absent
    const char *unknown_extension;     // "critical" or "": adds an extension nobody knows
    bool no_key_ids;                   // leaves the subject and authority key identifiers out
    bool version1;                     // no extensions at all
    bool bad_signature;                // one bit of the signature is flipped
};

struct pki_cert;

// Issues a certificate; `issuer` NULL makes it self-signed. The issuer may be freed afterwards.
struct pki_cert *pki_issue(const struct pki_cert *issuer, const struct pki_options *options);
void pki_free(struct pki_cert *cert);
OWN_DEFINE(struct pki_cert, pki_free)

// The usual ones.
struct pki_cert *pki_ca(void);                                    // self-signed CA
struct pki_cert *pki_intermediate(const struct pki_cert *issuer); // CA below it
struct pki_cert *pki_leaf(const struct pki_cert *issuer, const char *spiffe_id);

// All borrowed from `cert`.
struct span pki_der(const struct pki_cert *cert);
struct span pki_key_der(const struct pki_cert *cert); // PKCS#8
CRYPTO_BUFFER *pki_buffer(const struct pki_cert *cert);
EVP_PKEY *pki_key(const struct pki_cert *cert);
X509 *pki_x509(const struct pki_cert *cert);

// Owned bytes; span_of(b->ptr, b->len).
struct pki_bytes {
    size_t len;
    uint8_t ptr[];
};
void pki_bytes_free(struct pki_bytes *bytes);
OWN_DEFINE(struct pki_bytes, pki_bytes_free)
struct span pki_span(const struct pki_bytes *bytes);

// The DER of `num` certificates, one after the other.
struct pki_bytes *pki_concat(const struct pki_cert *const *certs, size_t num);

// A CRL of `issuer` that names `revoked` (may be NULL: an empty list).
struct pki_bytes *pki_crl(const struct pki_cert *issuer, const struct pki_cert *revoked,
                          int64_t this_update, int64_t next_update);

#endif
