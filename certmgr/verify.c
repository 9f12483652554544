#include "certmgr/verify.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "base/own.h"
#include "certmgr/leaf_rules.h"
#include "certmgr/revocation.h"
#include "certmgr/x509_der.h"

// Certificates above the leaf that a path may have. The library's own limit is 100.
#define DEPTH_MAX 10

static void certs_free(STACK_OF(X509) * certs) {
    sk_X509_pop_free(certs, X509_free);
}
OWN_DEFINE(STACK_OF(X509), certs_free)
OWN_DEFINE(X509_STORE_CTX, X509_STORE_CTX_free)

// One verification: what is asked, and what has been found so far.
struct verification {
    const struct bundle_set *bundles;
    enum verify_role role;
    int64_t now;
    STACK_OF(X509) * presented; // leaf first
    struct peer peer;
    struct err *err;
};

const char *verify_result_name(enum verify_result result) {
    static const char *const names[] = {
#define VERIFY_RESULT(id, name, sentence) [id] = (name),
#include "certmgr/verify_result.def"
#undef VERIFY_RESULT
    };
    CHECK(result < VERIFY_RESULT_COUNT);
    return names[result];
}

const char *verify_result_sentence(enum verify_result result) {
    static const char *const sentences[] = {
#define VERIFY_RESULT(id, name, sentence) [id] = (sentence),
#include "certmgr/verify_result.def"
#undef VERIFY_RESULT
    };
    CHECK(result < VERIFY_RESULT_COUNT);
    return sentences[result];
}

enum verify_result verify_result_of_path(int error) {
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return VERIFY_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return VERIFY_NOT_YET_VALID;
    case X509_V_ERR_INVALID_PURPOSE:
        return VERIFY_BAD_USAGE;
    default:
        return VERIFY_UNTRUSTED;
    }
}

static enum verify_result refuse(struct verification *v, enum verify_result result) {
    (void)ERR_SET(v->err, ERR_INPUT, "%s", verify_result_sentence(result));
    return result;
}

// Bounds what parsing may cost.
static enum verify_result check_size(struct verification *v, CRYPTO_BUFFER *const *chain,
                                     size_t num) {
    size_t total = 0;
    for (size_t i = 0; i < num && i < SVID_CHAIN_MAX; i++) {
        total += CRYPTO_BUFFER_len(chain[i]);
    }
    if (num == 0) {
        return refuse(v, VERIFY_NO_CERTIFICATE);
    }
    return num > SVID_CHAIN_MAX || total > SVID_DER_MAX ? refuse(v, VERIFY_TOO_LARGE) : VERIFY_OK;
}

static enum verify_result parse_chain(struct verification *v, CRYPTO_BUFFER *const *chain,
                                      size_t num) {
    for (size_t i = 0; i < num; i++) {
        X509 *cert OWNED(X509_free) = x509_der_parse(chain[i], v->err);
        if (cert == NULL) {
            err_wrap(v->err, "certificate %zu of the peer's chain", i + 1);
            return VERIFY_MALFORMED;
        }
        if (!x509_der_key_is_accepted(cert)) {
            (void)ERR_SET(v->err, ERR_INPUT,
                          "the key of certificate %zu is none of P-256, P-384 and RSA 2048-4096",
                          i + 1);
            return VERIFY_WEAK;
        }
        if (!sk_X509_push(v->presented, cert)) {
            (void)ERR_NO_MEMORY(v->err, "verifying a certificate");
            return VERIFY_UNTRUSTED;
        }
        (void)take(&cert);
    }
    return VERIFY_OK;
}

// RFC 5280 path validation. A bundle may hold an intermediate as its trust anchor, and times are
// exact: authorities date notBefore back to allow for clocks that differ.
static enum verify_result build_path(struct verification *v, X509_STORE_CTX *ctx,
                                     X509_STORE *store) {
    bool client = v->role == VERIFY_CLIENT;
    if (!X509_STORE_CTX_init(ctx, store, sk_X509_value(v->presented, 0), v->presented) ||
        !X509_STORE_CTX_set_purpose(ctx,
                                    client ? X509_PURPOSE_SSL_CLIENT : X509_PURPOSE_SSL_SERVER)) {
        (void)ERR_NO_MEMORY(v->err, "verifying a certificate");
        return VERIFY_UNTRUSTED;
    }
    X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_PARTIAL_CHAIN);
    X509_STORE_CTX_set_depth(ctx, DEPTH_MAX);
    X509_STORE_CTX_set_time_posix(ctx, 0, v->now);
    if (X509_verify_cert(ctx) == 1) {
        return VERIFY_OK;
    }
    int error = X509_STORE_CTX_get_error(ctx);
    (void)ERR_SET(v->err, ERR_INPUT, "%s (certificate %d of the chain)",
                  X509_verify_cert_error_string(error), X509_STORE_CTX_get_error_depth(ctx) + 1);
    return verify_result_of_path(error);
}

// What is asked of each certificate of the path that led to the trust anchor. `num_below` is the
// number of intermediates between it and the leaf.
static enum verify_result check_issuer(struct verification *v, X509 *cert, long num_below,
                                       bool is_anchor) {
    long path_len = X509_get_pathlen(cert); // the library does not look at the anchor's
    if (!x509_der_is_ca(cert, !is_anchor) || (path_len >= 0 && num_below > path_len)) {
        (void)ERR_SET(v->err, ERR_INPUT, "an issuer in the chain may not issue this certificate");
        return VERIFY_UNTRUSTED;
    }
    if ((X509_get_extension_flags(cert) & EXFLAG_CRITICAL) != 0) { // accepted in anchors
        (void)ERR_SET(v->err, ERR_INPUT, "an issuer has a critical extension that is not known");
        return VERIFY_UNTRUSTED;
    }
    return VERIFY_OK;
}

static enum verify_result check_path(struct verification *v, const STACK_OF(X509) * path) {
    size_t num = sk_X509_num(path);
    v->peer.not_after = INT64_MAX;
    long num_below = 0;
    for (size_t i = 0; i < num; i++) {
        X509 *cert = sk_X509_value(path, i);
        bool is_anchor = i + 1 == num;
        bool strong = x509_der_key_is_accepted(cert) &&
                      ((is_anchor && i > 0) || x509_der_signature_is_accepted(cert));
        if (!strong) {
            return refuse(v, VERIFY_WEAK);
        }
        enum verify_result result =
            i == 0 ? VERIFY_OK : check_issuer(v, cert, num_below, is_anchor);
        if (result != VERIFY_OK) {
            return result;
        }
        // Self-issued certificates (a CA's new key) do not count (RFC 5280 6.1.4 (l)).
        num_below += i > 0 && (X509_get_extension_flags(cert) & EXFLAG_SI) == 0;
        int64_t not_after = 0;
        if (!x509_der_not_after(cert, &not_after)) {
            return refuse(v, VERIFY_MALFORMED);
        }
        v->peer.not_after = not_after < v->peer.not_after ? not_after : v->peer.not_after;
    }
    return VERIFY_OK;
}

static enum verify_result check_revocation(struct verification *v, const STACK_OF(X509) * path) {
    switch (revocation_check(bundle_set_crls(v->bundles), path, v->now)) {
    case REVOCATION_GOOD:
        return VERIFY_OK;
    case REVOCATION_REVOKED:
        return refuse(v, VERIFY_REVOKED);
    case REVOCATION_STALE:
        break;
    }
    (void)ERR_SET(v->err, ERR_INPUT, "the revocation list of an issuer is out of date");
    return VERIFY_UNTRUSTED;
}

// Everything that SVIDs and named servers have in common, from the trust domain on.
static enum verify_result verify_path(struct verification *v, struct span trust_domain) {
    X509_STORE *store = bundle_set_store(v->bundles, trust_domain);
    if (store == NULL) {
        return refuse(v, VERIFY_UNKNOWN_TRUST_DOMAIN);
    }
    X509_STORE_CTX *ctx OWNED(X509_STORE_CTX_free) = X509_STORE_CTX_new();
    if (ctx == NULL) {
        (void)ERR_NO_MEMORY(v->err, "verifying a certificate");
        return VERIFY_UNTRUSTED;
    }
    enum verify_result result = build_path(v, ctx, store);
    if (result == VERIFY_OK) {
        result = check_path(v, X509_STORE_CTX_get0_chain(ctx));
    }
    if (result == VERIFY_OK && bundle_set_has_crls(v->bundles)) {
        result = check_revocation(v, X509_STORE_CTX_get0_chain(ctx));
    }
    const X509 *leaf = sk_X509_value(v->presented, 0);
    if (result == VERIFY_OK && !x509_der_serial(leaf, v->peer.serial, sizeof v->peer.serial)) {
        result = refuse(v, VERIFY_MALFORMED);
    }
    return result;
}

static enum verify_result check_svid(struct verification *v) {
    const X509 *leaf = sk_X509_value(v->presented, 0);
    if (!leaf_rules_id(leaf, &v->peer.id, v->err)) {
        return VERIFY_NO_SPIFFE_ID;
    }
    enum verify_result result = verify_path(v, spiffe_id_trust_domain(&v->peer.id));
    if (result == VERIFY_OK && !leaf_rules_svid_usage(leaf, v->err)) {
        result = VERIFY_BAD_USAGE;
    }
    if (result != VERIFY_OK) {
        err_wrap(v->err, "%.256s", v->peer.id.text); // a long one must not push out the reason
    }
    return result;
}

static enum verify_result check_named_server(struct verification *v, struct span trust_domain,
                                             struct span dns_name) {
    const X509 *leaf = sk_X509_value(v->presented, 0);
    enum verify_result result = verify_path(v, trust_domain);
    if (result == VERIFY_OK && !leaf_rules_usage(leaf, v->err)) {
        return VERIFY_BAD_USAGE;
    }
    if (result == VERIFY_OK && !leaf_rules_has_dns_name(leaf, dns_name)) {
        (void)ERR_SET(v->err, ERR_INPUT, "the server's certificate is not for %.*s",
                      (int)dns_name.len, (const char *)dns_name.ptr);
        return VERIFY_WRONG_NAME;
    }
    // The ID is a gift, not a condition, and only that of the domain that vouched for it.
    if (!leaf_rules_id(leaf, &v->peer.id, NULL) ||
        !span_equal(spiffe_id_trust_domain(&v->peer.id), trust_domain)) {
        v->peer.id = (struct spiffe_id){0};
    }
    return result;
}

// A verdict reached while memory was short may rest on a check that could not be made (a CRL whose
// signature did not verify is not looked at). The queue is emptied: a leftover would be taken for
// an error of the TLS call that we are inside of.
static enum verify_result settle(struct verification *v, enum verify_result result) {
    bool memory_was_short = false;
    for (uint32_t error = ERR_get_error(); error != 0; error = ERR_get_error()) {
        memory_was_short = memory_was_short || ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
    }
    if (result == VERIFY_OK && memory_was_short) {
        (void)ERR_NO_MEMORY(v->err, "verifying a certificate");
        return VERIFY_UNTRUSTED;
    }
    return result;
}

static enum verify_result present(struct verification *v, CRYPTO_BUFFER *const *chain,
                                  size_t num_chain) {
    ERR_clear_error();
    enum verify_result result = check_size(v, chain, num_chain);
    return result == VERIFY_OK ? parse_chain(v, chain, num_chain) : result;
}

enum verify_result verify_peer(const struct bundle_set *bundles,
                               const struct verify_question *question, struct peer *out,
                               struct err *err) {
    STACK_OF(X509) * presented OWNED(certs_free) = sk_X509_new_null();
    struct verification v = {.bundles = bundles,
                             .role = question->role,
                             .now = question->now,
                             .presented = presented,
                             .err = err};
    enum verify_result result = presented == NULL
                                    ? refuse(&v, VERIFY_UNTRUSTED)
                                    : present(&v, question->chain, question->num_chain);
    if (result == VERIFY_OK) {
        result = question->dns_name.ptr != NULL
                     ? check_named_server(&v, question->trust_domain, question->dns_name)
                     : check_svid(&v);
    }
    result = settle(&v, result);
    if (result == VERIFY_OK) {
        *out = v.peer;
    }
    return result;
}
