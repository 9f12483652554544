// Trust bundles: for each trust domain the certificates that peers of that domain chain to.
// Bundles of different domains are never merged. Immutable once built; shared by reference count.
#ifndef CERTMGR_BUNDLE_H
#define CERTMGR_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/base.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#define BUNDLE_CERTIFICATES_MAX 256 // per trust domain
#define BUNDLE_DOMAINS_MAX 1024

struct bundle_set;
struct bundle_builder;

struct bundle_builder *bundle_builder_new(void);
void bundle_builder_free(struct bundle_builder *builder);
OWN_DEFINE(struct bundle_builder, bundle_builder_free)

// Adds a trust domain's certificates: DER, concatenated, at least one. A domain that is there
// already is replaced (a protobuf map's last entry wins). Roots must be CA certificates.
bool bundle_builder_add(struct bundle_builder *builder, struct span trust_domain, struct span der,
                        struct err *err) MUST_USE;
// Adds a DER CRL; it is filed by issuer name and looked at for every domain. Only complete CRLs:
// one with a critical extension (delta, partial scope) is an error.
bool bundle_builder_add_crl(struct bundle_builder *builder, struct span der,
                            struct err *err) MUST_USE;
// Ends the builder's use (it is freed). NULL when memory is short.
struct bundle_set *bundle_builder_finish(struct bundle_builder *builder) MUST_USE;

struct bundle_set *bundle_set_ref(struct bundle_set *set);
void bundle_set_unref(struct bundle_set *set);
OWN_DEFINE(struct bundle_set, bundle_set_unref)

// The store to verify a peer of `trust_domain` against; NULL when there is no bundle. Borrowed.
X509_STORE *bundle_set_store(const struct bundle_set *set, struct span trust_domain);
// SHA-256 over all domains, certificates and CRLs: equal content, equal digest.
const uint8_t *bundle_set_digest(const struct bundle_set *set);
bool bundle_set_has_crls(const struct bundle_set *set);
const STACK_OF(X509_CRL) * bundle_set_crls(const struct bundle_set *set); // borrowed

size_t bundle_set_num_domains(const struct bundle_set *set);
struct bundle_view {
    struct span trust_domain;
    size_t num_certificates;
    int64_t not_after; // Unix seconds, the first certificate of the domain to expire
};
struct bundle_view bundle_set_view(const struct bundle_set *set, size_t index);
// Appends the domain's certificates, DER, one after the other. False when memory is short.
bool bundle_set_append_roots(const struct bundle_set *set, size_t index, struct buf *out) MUST_USE;

#endif
