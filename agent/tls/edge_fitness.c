#include "agent/tls/edge_fitness.h"

#include <stdbool.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "certmgr/x509_der.h"

#define RSA_BITS_MIN 2048

static void say(struct edge_fitness *out, bool is_so, const char *sentence) {
    if (is_so && out->num < EDGE_FITNESS_MAX) {
        out->said[out->num++] = sentence;
    }
}

static bool is_weakly_signed(const X509 *cert) {
    int nid = X509_get_signature_nid(cert);
    return nid == NID_sha1WithRSAEncryption || nid == NID_ecdsa_with_SHA1 ||
           nid == NID_sha1WithRSA || nid == NID_md5WithRSAEncryption;
}

static void judge_leaf(X509 *leaf, const struct edge_certificate *cert, struct edge_fitness *out) {
    // Both are all ones where the extension is absent: then anything goes.
    uint32_t usage = X509_get_key_usage(leaf);
    uint32_t purposes = X509_get_extended_key_usage(leaf);
    bool is_rsa = EVP_PKEY_id(cert->key) == EVP_PKEY_RSA;
    say(out, X509_get_ext_by_NID(leaf, NID_subject_alt_name, -1) < 0,
        "it has no subjectAltName, and clients do not look at the CN");
    say(out, (purposes & (XKU_SSL_SERVER | XKU_ANYEKU)) == 0,
        "its extended key usage lacks serverAuth, so clients refuse it");
    say(out, (usage & KU_DIGITAL_SIGNATURE) == 0,
        "its key usage lacks digitalSignature, which every handshake here needs");
    say(out, is_rsa && EVP_PKEY_bits(cert->key) < RSA_BITS_MIN,
        "its RSA key has less than 2048 bits");
    say(out, is_weakly_signed(leaf), "it is signed with SHA-1 or MD5");
}

// Each is issued by the one behind it; a root at the end is of no use and does no harm.
static bool is_in_order(const struct edge_certificate *cert) {
    bool ok = true;
    for (size_t i = 0; ok && i + 1 < cert->num_chain; i++) {
        X509 *subject OWNED(X509_free) = x509_der_parse(cert->chain[i], NULL);
        X509 *issuer OWNED(X509_free) = x509_der_parse(cert->chain[i + 1], NULL);
        ok = subject != NULL && issuer != NULL && X509_check_issued(issuer, subject) == X509_V_OK;
    }
    return ok;
}

void edge_fitness_judge(const struct edge_certificate *cert, struct edge_fitness *out) {
    X509 *leaf OWNED(X509_free) = x509_der_parse(cert->chain[0], NULL);
    *out = (struct edge_fitness){0};
    if (leaf != NULL) {
        judge_leaf(leaf, cert, out);
    }
    say(out, !is_in_order(cert),
        "the file is not in order: the leaf, then whoever issued it, and so on");
    ERR_clear_error();
}
