#include "certmgr/svid.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bytestring.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/own.h"
#include "certmgr/leaf_rules.h"
#include "certmgr/x509_der.h"

#define HINT_LEN_MAX 1024

struct svid {
    atomic_uint refs;
    struct spiffe_id id;
    int64_t not_before;
    int64_t not_after;
    char serial[SVID_SERIAL_TEXT_MAX];
    char *hint;
    EVP_PKEY *key;
    size_t num_chain;
    CRYPTO_BUFFER *chain[SVID_CHAIN_MAX];
};

static bool take_leaf(struct svid *svid, const X509 *leaf, struct err *err) {
    if (!leaf_rules_id(leaf, &svid->id, err) || !leaf_rules_svid_usage(leaf, err)) {
        return false;
    }
    if (!x509_der_key_is_accepted(leaf)) {
        return ERR_SET(err, ERR_INPUT, "the key is none of P-256, P-384 and RSA 2048-4096");
    }
    if (!x509_der_not_before(leaf, &svid->not_before) ||
        !x509_der_serial(leaf, svid->serial, sizeof svid->serial)) {
        return ERR_SET(err, ERR_INPUT, "the leaf's notBefore or serial number is malformed");
    }
    EVP_PKEY *public_key OWNED(EVP_PKEY_free) = X509_get_pubkey((X509 *)(uintptr_t)leaf);
    if (public_key == NULL || EVP_PKEY_cmp(public_key, svid->key) != 1) {
        return ERR_SET(err, ERR_INPUT, "the private key does not belong to the leaf certificate");
    }
    return true;
}

static bool take_certificate(struct svid *svid, struct span der, struct err *err) {
    if (svid->num_chain == SVID_CHAIN_MAX) {
        return ERR_SET(err, ERR_INPUT, "the chain has more than %d certificates", SVID_CHAIN_MAX);
    }
    CRYPTO_BUFFER *buffer OWNED(CRYPTO_BUFFER_free) = CRYPTO_BUFFER_new(der.ptr, der.len, NULL);
    if (buffer == NULL) {
        return ERR_NO_MEMORY(err, "reading a certificate");
    }
    X509 *cert OWNED(X509_free) = x509_der_parse(buffer, err);
    if (cert == NULL) {
        return false;
    }
    int64_t not_after = 0;
    if (!x509_der_not_after(cert, &not_after)) {
        return ERR_SET(err, ERR_INPUT, "its notAfter is malformed");
    }
    bool is_leaf = svid->num_chain == 0;
    if (is_leaf && !take_leaf(svid, cert, err)) {
        return false;
    }
    if (!is_leaf && !x509_der_is_ca(cert, true)) {
        return ERR_SET(err, ERR_INPUT, "it is not a CA certificate with keyCertSign");
    }
    if (is_leaf || not_after < svid->not_after) {
        svid->not_after = not_after;
    }
    svid->chain[svid->num_chain++] = take(&buffer);
    return true;
}

static bool take_chain(struct svid *svid, struct span der, struct err *err) {
    if (der.len == 0) {
        return ERR_SET(err, ERR_INPUT, "the certificate chain is empty");
    }
    if (der.len > SVID_DER_MAX) {
        return ERR_SET(err, ERR_INPUT, "the certificate chain has %zu bytes; at most %d are taken",
                       der.len, SVID_DER_MAX);
    }
    while (der.len > 0) {
        struct span element;
        if (!x509_der_next(&der, &element, err) || !take_certificate(svid, element, err)) {
            return err_wrap(err, "certificate %zu of the chain", svid->num_chain + 1);
        }
    }
    return true;
}

static bool take_key(struct svid *svid, struct span der, struct err *err) {
    CBS cbs;
    CBS_init(&cbs, der.ptr, der.len);
    svid->key = EVP_parse_private_key(&cbs);
    if (svid->key == NULL || CBS_len(&cbs) != 0) {
        return ERR_SET(err, ERR_INPUT, "the private key is not unencrypted PKCS#8 DER (%zu bytes)",
                       der.len);
    }
    return true;
}

// The hint is for people and for choosing; it ends at a NUL or at 1024 bytes.
static bool take_hint(struct svid *svid, struct span hint, struct err *err) {
    size_t len = hint.len < HINT_LEN_MAX ? hint.len : HINT_LEN_MAX;
    svid->hint = len == 0 ? strdup("") : strndup((const char *)hint.ptr, len);
    return svid->hint != NULL || ERR_NO_MEMORY(err, "reading an SVID");
}

static bool check_expected_id(const struct svid *svid, struct span expected_id, struct err *err) {
    if (expected_id.len == 0 || span_equal(expected_id, spiffe_id_text(&svid->id))) {
        return true;
    }
    return ERR_SET(err, ERR_INPUT, "the certificate is for %s, not for the SPIFFE ID it came with",
                   svid->id.text);
}

struct svid *svid_parse(struct span chain_der, struct span key_der, struct span expected_id,
                        struct span hint, struct err *err) {
    struct svid *svid OWNED(svid_unref) = calloc(1, sizeof *svid);
    if (svid == NULL) {
        ERR_NO_MEMORY(err, "reading an SVID");
        return NULL;
    }
    atomic_init(&svid->refs, 1);
    bool ok = take_hint(svid, hint, err) && take_key(svid, key_der, err) &&
              take_chain(svid, chain_der, err) && check_expected_id(svid, expected_id, err);
    ERR_clear_error(); // a leftover would be taken for an error of the next TLS call
    return ok ? take(&svid) : NULL;
}

struct svid *svid_ref(struct svid *svid) {
    atomic_fetch_add_explicit(&svid->refs, 1, memory_order_relaxed);
    return svid;
}

void svid_unref(struct svid *svid) {
    if (svid == NULL || atomic_fetch_sub_explicit(&svid->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < svid->num_chain; i++) {
        CRYPTO_BUFFER_free(svid->chain[i]);
    }
    EVP_PKEY_free(svid->key); // the library wipes what it frees
    free(svid->hint);
    free(svid);
}

const struct spiffe_id *svid_id(const struct svid *svid) {
    return &svid->id;
}

int64_t svid_not_before(const struct svid *svid) {
    return svid->not_before;
}

int64_t svid_not_after(const struct svid *svid) {
    return svid->not_after;
}

const char *svid_serial(const struct svid *svid) {
    return svid->serial;
}

const char *svid_hint(const struct svid *svid) {
    return svid->hint;
}

CRYPTO_BUFFER *const *svid_chain(const struct svid *svid, size_t *num) {
    *num = svid->num_chain;
    return svid->chain;
}

EVP_PKEY *svid_key(const struct svid *svid) {
    return svid->key;
}

bool svid_certificate_at(const struct svid *svid, size_t index, struct svid_certificate *out) {
    if (index >= svid->num_chain) {
        return false;
    }
    X509 *cert OWNED(X509_free) = x509_der_parse(svid->chain[index], NULL);
    if (cert == NULL || !x509_der_not_after(cert, &out->not_after) ||
        !x509_der_serial(cert, out->serial, sizeof out->serial)) {
        return false;
    }
    return X509_NAME_oneline(X509_get_subject_name(cert), out->subject, sizeof out->subject) !=
           NULL;
}
