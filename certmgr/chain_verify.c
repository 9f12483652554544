#include "certmgr/chain_verify.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/own.h"
#include "certmgr/x509_der.h"

#define RSA_BITS_MIN 2048
// A modulus above this costs more to verify than any client's certificate is worth.
#define RSA_BITS_MAX 8192

static void certs_free(STACK_OF(X509) * certs) {
    sk_X509_pop_free(certs, X509_free);
}
OWN_DEFINE(STACK_OF(X509), certs_free)
OWN_DEFINE(X509_STORE_CTX, X509_STORE_CTX_free)

static enum verify_result refuse(struct err *err, enum verify_result result) {
    (void)ERR_SET(err, ERR_INPUT, "%s", verify_result_sentence(result));
    return result;
}

static enum verify_result parse(CRYPTO_BUFFER *const *chain, size_t num, STACK_OF(X509) * out,
                                struct err *err) {
    size_t total = 0;
    for (size_t i = 0; i < num; i++) {
        total += CRYPTO_BUFFER_len(chain[i]);
        if (i == SVID_CHAIN_MAX || total > SVID_DER_MAX) {
            return refuse(err, VERIFY_TOO_LARGE);
        }
        X509 *cert OWNED(X509_free) = x509_der_parse(chain[i], err);
        if (cert == NULL) {
            err_wrap(err, "certificate %zu of the peer's chain", i + 1);
            return VERIFY_MALFORMED;
        }
        if (!sk_X509_push(out, cert)) {
            return refuse(err, VERIFY_UNTRUSTED);
        }
        (void)take(&cert);
    }
    return VERIFY_OK;
}

// The one error that allowOutdatedClientCerts forgives. The library goes on after it, so whatever
// else is wrong is still found.
static int forgive_expired_leaf(int ok, X509_STORE_CTX *ctx) {
    return ok || (X509_STORE_CTX_get_error(ctx) == X509_V_ERR_CERT_HAS_EXPIRED &&
                  X509_STORE_CTX_get_error_depth(ctx) == 0);
}

static enum verify_result build_path(const struct chain_rules *rules, X509_STORE_CTX *ctx,
                                     STACK_OF(X509) * presented, int64_t now, struct err *err) {
    bool client = rules->role == VERIFY_CLIENT;
    if (!X509_STORE_CTX_init(ctx, anchors_store(rules->anchors), sk_X509_value(presented, 0),
                             presented) ||
        !X509_STORE_CTX_set_purpose(ctx,
                                    client ? X509_PURPOSE_SSL_CLIENT : X509_PURPOSE_SSL_SERVER)) {
        return refuse(err, VERIFY_UNTRUSTED);
    }
    X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_PARTIAL_CHAIN);
    // The library counts the anchor as well; a test watches it.
    X509_STORE_CTX_set_depth(ctx, (int)rules->depth + 1);
    X509_STORE_CTX_set_time_posix(ctx, 0, now);
    if (rules->allow_outdated) {
        X509_STORE_CTX_set_verify_cb(ctx, forgive_expired_leaf);
    }
    if (X509_verify_cert(ctx) == 1) {
        return VERIFY_OK;
    }
    int error = X509_STORE_CTX_get_error(ctx);
    (void)ERR_SET(err, ERR_INPUT, "certificate verify failed: %s (certificate %d of the chain)",
                  X509_verify_cert_error_string(error), X509_STORE_CTX_get_error_depth(ctx) + 1);
    return verify_result_of_path(error);
}

static bool key_is_fit(const X509 *cert, unsigned bits_min) {
    EVP_PKEY *key OWNED(EVP_PKEY_free) = X509_get_pubkey((X509 *)(uintptr_t)cert);
    if (key == NULL || EVP_PKEY_id(key) != EVP_PKEY_RSA) {
        ERR_clear_error();
        return key != NULL;
    }
    unsigned bits = RSA_bits(EVP_PKEY_get0_RSA(key));
    return bits >= bits_min && bits <= RSA_BITS_MAX;
}

static bool is_sha1(const X509 *cert) {
    int nid = X509_get_signature_nid(cert);
    return nid == NID_sha1WithRSAEncryption || nid == NID_ecdsa_with_SHA1 || nid == NID_sha1WithRSA;
}

// Signatures count below the anchor; a pinned leaf's own signature is not relied on.
static enum verify_result check_strength(const struct chain_rules *rules,
                                         const STACK_OF(X509) * path, struct err *err) {
    size_t num = sk_X509_num(path);
    for (size_t i = 0; i < num; i++) {
        const X509 *cert = sk_X509_value(path, i);
        if (!key_is_fit(cert, rules->allow_weak ? 0 : RSA_BITS_MIN)) {
            (void)ERR_SET(err, ERR_INPUT, "certificate %zu of the chain has an RSA key of %s",
                          i + 1, rules->allow_weak ? "a forbidden size" : "less than 2048 bits");
            return VERIFY_WEAK;
        }
        if (!rules->allow_weak && i + 1 < num && is_sha1(cert)) {
            (void)ERR_SET(err, ERR_INPUT, "certificate %zu of the chain is signed with SHA-1",
                          i + 1);
            return VERIFY_WEAK;
        }
    }
    return VERIFY_OK;
}

enum verify_result chain_verify(const struct chain_rules *rules, CRYPTO_BUFFER *const *chain,
                                size_t num, int64_t now, struct err *err) {
    if (num == 0) {
        return refuse(err, VERIFY_NO_CERTIFICATE);
    }
    STACK_OF(X509) * presented OWNED(certs_free) = sk_X509_new_null();
    X509_STORE_CTX *ctx OWNED(X509_STORE_CTX_free) = X509_STORE_CTX_new();
    if (presented == NULL || ctx == NULL) {
        return refuse(err, VERIFY_UNTRUSTED);
    }
    enum verify_result result = parse(chain, num, presented, err);
    if (result == VERIFY_OK) {
        result = build_path(rules, ctx, presented, now, err);
    }
    if (result == VERIFY_OK) {
        result = check_strength(rules, X509_STORE_CTX_get0_chain(ctx), err);
    }
    ERR_clear_error();
    return result;
}
