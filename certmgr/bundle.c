#include "certmgr/bundle.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bytestring.h>
#include <openssl/err.h>
#include <openssl/pool.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "base/own.h"
#include "certmgr/spiffe_id.h"
#include "certmgr/x509_der.h"

#define CRLS_MAX 1024

struct domain {
    uint8_t name_len; // at most SPIFFE_TRUST_DOMAIN_MAX
    char name[SPIFFE_TRUST_DOMAIN_MAX];
    X509_STORE *store;
    size_t num_certificates;
    int64_t not_after;
    uint8_t digest[SHA256_DIGEST_LENGTH]; // of the certificates
};

struct crl_digest {
    uint8_t bytes[SHA256_DIGEST_LENGTH];
};

struct bundle_set {
    atomic_uint refs;
    struct domain **domains; // sorted by name once finished
    size_t num_domains;
    STACK_OF(X509_CRL) * crls;
    struct crl_digest *crl_digests;
    size_t num_crls;
    uint8_t digest[SHA256_DIGEST_LENGTH];
};

struct bundle_builder {
    struct bundle_set *set;
};

static void domain_free(struct domain *domain) {
    if (domain != NULL) {
        X509_STORE_free(domain->store);
        free(domain);
    }
}
OWN_DEFINE(struct domain, domain_free)

static struct span domain_name(const struct domain *domain) {
    return span_of(domain->name, domain->name_len);
}

struct bundle_builder *bundle_builder_new(void) {
    struct bundle_builder *builder OWNED(bundle_builder_free) = calloc(1, sizeof *builder);
    if (builder == NULL) {
        return NULL;
    }
    builder->set = calloc(1, sizeof *builder->set);
    if (builder->set == NULL) {
        return NULL;
    }
    atomic_init(&builder->set->refs, 1);
    builder->set->crls = sk_X509_CRL_new_null();
    return builder->set->crls == NULL ? NULL : take(&builder);
}

void bundle_builder_free(struct bundle_builder *builder) {
    if (builder != NULL) {
        bundle_set_unref(builder->set);
        free(builder);
    }
}

static bool add_certificate(struct domain *domain, struct span der, struct err *err) {
    if (domain->num_certificates == BUNDLE_CERTIFICATES_MAX) {
        return ERR_SET(err, ERR_INPUT, "there are more than %d", BUNDLE_CERTIFICATES_MAX);
    }
    CRYPTO_BUFFER *buffer OWNED(CRYPTO_BUFFER_free) = CRYPTO_BUFFER_new(der.ptr, der.len, NULL);
    if (buffer == NULL) {
        return ERR_NO_MEMORY(err, "reading a trust bundle");
    }
    X509 *cert OWNED(X509_free) = x509_der_parse(buffer, err);
    if (cert == NULL) {
        return false;
    }
    int64_t not_after = 0;
    if (!x509_der_is_ca(cert, false) || !x509_der_not_after(cert, &not_after)) {
        return ERR_SET(err, ERR_INPUT, "it is not a CA certificate");
    }
    if (!X509_STORE_add_cert(domain->store, cert)) {
        return ERR_NO_MEMORY(err, "reading a trust bundle");
    }
    if (domain->num_certificates++ == 0 || not_after < domain->not_after) {
        domain->not_after = not_after;
    }
    return true;
}

// A renewed CA often keeps its name. Where the certificate does not say which key signed it, the
// signature decides; the library would take the first of that name and fail.
static int is_issued_by(X509_STORE_CTX *ctx, X509 *cert, X509 *issuer) {
    (void)ctx;
    if (X509_check_issued(issuer, cert) != X509_V_OK) {
        return 0;
    }
    if (X509_get0_authority_key_id(cert) != NULL && X509_get0_subject_key_id(issuer) != NULL) {
        return 1;
    }
    EVP_PKEY *key OWNED(EVP_PKEY_free) = X509_get_pubkey(issuer);
    return key != NULL && X509_verify(cert, key) == 1;
}

static struct domain *parse_domain(struct span name, struct span der, struct err *err) {
    struct domain *domain OWNED(domain_free) = calloc(1, sizeof *domain);
    if (domain == NULL || (domain->store = X509_STORE_new()) == NULL) {
        ERR_NO_MEMORY(err, "reading a trust bundle");
        return NULL;
    }
    X509_STORE_set_check_issued(domain->store, is_issued_by);
    memcpy(domain->name, name.ptr, name.len);
    domain->name_len = (uint8_t)name.len;
    SHA256(der.ptr, der.len, domain->digest);
    if (der.len == 0) {
        ERR_SET(err, ERR_INPUT, "it holds no certificate");
        return NULL;
    }
    while (der.len > 0) {
        struct span element;
        if (!x509_der_next(&der, &element, err) || !add_certificate(domain, element, err)) {
            err_wrap(err, "certificate %zu", domain->num_certificates + 1);
            return NULL;
        }
    }
    return take(&domain);
}

// Owns `domain`, also on failure.
static bool put_domain(struct bundle_set *set, struct domain *domain, struct err *err) {
    struct domain *owned OWNED(domain_free) = domain;
    for (size_t i = 0; i < set->num_domains; i++) {
        if (span_equal(domain_name(set->domains[i]), domain_name(domain))) {
            domain_free(set->domains[i]);
            set->domains[i] = take(&owned);
            return true;
        }
    }
    if (set->num_domains == BUNDLE_DOMAINS_MAX) {
        return ERR_SET(err, ERR_INPUT, "there are more than %d trust domains", BUNDLE_DOMAINS_MAX);
    }
    size_t size = (set->num_domains + 1) * sizeof(struct domain *);
    struct domain **grown = realloc(set->domains, size);
    if (grown == NULL) {
        return ERR_NO_MEMORY(err, "reading a trust bundle");
    }
    set->domains = grown;
    set->domains[set->num_domains++] = take(&owned);
    return true;
}

bool bundle_builder_add(struct bundle_builder *builder, struct span trust_domain, struct span der,
                        struct err *err) {
    if (!spiffe_trust_domain_is_valid(trust_domain)) {
        return ERR_SET(err, ERR_INPUT, "a trust bundle's trust domain has an invalid name");
    }
    struct domain *domain = parse_domain(trust_domain, der, err);
    ERR_clear_error();
    if (domain == NULL) {
        return err_wrap(err, "the trust bundle of %.*s", (int)trust_domain.len, trust_domain.ptr);
    }
    return put_domain(builder->set, domain, err);
}

// Critical extensions change what a CRL's entries mean (RFC 5280 5.2: delta, partial scope).
static bool is_complete_crl(const X509_CRL *crl) {
    for (int i = 0; i < X509_CRL_get_ext_count(crl); i++) {
        if (X509_EXTENSION_get_critical(X509_CRL_get_ext(crl, i))) {
            return false;
        }
    }
    return true;
}

bool bundle_builder_add_crl(struct bundle_builder *builder, struct span der, struct err *err) {
    struct bundle_set *set = builder->set;
    if (set->num_crls == CRLS_MAX) {
        return ERR_SET(err, ERR_INPUT, "there are more than %d CRLs", CRLS_MAX);
    }
    const uint8_t *end = der.ptr;
    X509_CRL *crl OWNED(X509_CRL_free) =
        der.len == 0 ? NULL : d2i_X509_CRL(NULL, &end, (long)der.len);
    ERR_clear_error();
    if (crl == NULL || end != der.ptr + der.len) {
        return ERR_SET(err, ERR_INPUT, "a CRL is not well-formed DER (%zu bytes)", der.len);
    }
    if (!is_complete_crl(crl)) {
        return ERR_SET(err, ERR_INPUT,
                       "a CRL has a critical extension; only complete CRLs are supported");
    }
    size_t size = (set->num_crls + 1) * sizeof *set->crl_digests;
    struct crl_digest *grown = realloc(set->crl_digests, size);
    if (grown == NULL) {
        return ERR_NO_MEMORY(err, "reading a CRL");
    }
    set->crl_digests = grown;
    if (!sk_X509_CRL_push(set->crls, crl)) {
        return ERR_NO_MEMORY(err, "reading a CRL");
    }
    (void)take(&crl);
    SHA256(der.ptr, der.len, set->crl_digests[set->num_crls++].bytes);
    return true;
}

static int compare_spans(struct span a, struct span b) {
    int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_domains(const void *a, const void *b) {
    return compare_spans(domain_name(*(struct domain *const *)a),
                         domain_name(*(struct domain *const *)b));
}

static int compare_name(const void *name, const void *domain) {
    return compare_spans(*(const struct span *)name, domain_name(*(struct domain *const *)domain));
}

static int compare_digests(const void *a, const void *b) {
    return memcmp(a, b, sizeof(struct crl_digest));
}

// Independent of the order in which domains and CRLs were added.
static void compute_digest(struct bundle_set *set) {
    SHA256_CTX sha;
    SHA256_Init(&sha);
    for (size_t i = 0; i < set->num_domains; i++) {
        const struct domain *domain = set->domains[i];
        SHA256_Update(&sha, &domain->name_len, sizeof domain->name_len);
        SHA256_Update(&sha, domain->name, domain->name_len);
        SHA256_Update(&sha, domain->digest, sizeof domain->digest);
    }
    static const uint8_t separator = 0; // no domain's name is empty
    SHA256_Update(&sha, &separator, sizeof separator);
    for (size_t i = 0; i < set->num_crls; i++) {
        SHA256_Update(&sha, set->crl_digests[i].bytes, sizeof set->crl_digests[i].bytes);
    }
    SHA256_Final(set->digest, &sha);
}

struct bundle_set *bundle_builder_finish(struct bundle_builder *builder) {
    struct bundle_set *set = take(&builder->set);
    bundle_builder_free(builder);
    if (set->num_domains > 1) {
        qsort(set->domains, set->num_domains, sizeof(struct domain *), compare_domains);
    }
    if (set->num_crls > 1) {
        qsort(set->crl_digests, set->num_crls, sizeof *set->crl_digests, compare_digests);
    }
    compute_digest(set);
    return set;
}

struct bundle_set *bundle_set_ref(struct bundle_set *set) {
    atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    return set;
}

void bundle_set_unref(struct bundle_set *set) {
    if (set == NULL || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < set->num_domains; i++) {
        domain_free(set->domains[i]);
    }
    free(set->domains);
    sk_X509_CRL_pop_free(set->crls, X509_CRL_free);
    free(set->crl_digests);
    free(set);
}

X509_STORE *bundle_set_store(const struct bundle_set *set, struct span trust_domain) {
    if (trust_domain.len == 0 || set->num_domains == 0) {
        return NULL;
    }
    struct domain **found = bsearch(&trust_domain, set->domains, set->num_domains,
                                    sizeof(struct domain *), compare_name);
    return found == NULL ? NULL : (*found)->store;
}

const uint8_t *bundle_set_digest(const struct bundle_set *set) {
    return set->digest;
}

bool bundle_set_has_crls(const struct bundle_set *set) {
    return set->num_crls > 0;
}

const STACK_OF(X509_CRL) * bundle_set_crls(const struct bundle_set *set) {
    return set->crls;
}

size_t bundle_set_num_domains(const struct bundle_set *set) {
    return set->num_domains;
}

struct bundle_view bundle_set_view(const struct bundle_set *set, size_t index) {
    CHECK(index < set->num_domains);
    const struct domain *domain = set->domains[index];
    return (struct bundle_view){
        .trust_domain = domain_name(domain),
        .num_certificates = domain->num_certificates,
        .not_after = domain->not_after,
    };
}

bool bundle_set_append_roots(const struct bundle_set *set, size_t index, struct buf *out) {
    CHECK(index < set->num_domains);
    const STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(set->domains[index]->store);
    bool ok = true;
    for (size_t i = 0; ok && i < sk_X509_OBJECT_num(objects); i++) {
        X509 *cert = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        uint8_t *der = NULL;
        int len = cert == NULL ? 0 : i2d_X509(cert, &der);
        ok = len >= 0 && buf_append(out, der, (size_t)len);
        OPENSSL_free(der);
    }
    return ok;
}
