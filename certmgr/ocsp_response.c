#include "certmgr/ocsp_response.h"

#include <stdbool.h>
#include <time.h>

#include <openssl/bytestring.h>
#include <openssl/digest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/time.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/own.h"
#include "certmgr/ocsp_id.h"
#include "certmgr/x509_der.h"

#define SINGLES_MAX 64
#define SIGNERS_MAX 8
#define EXTENSIONS_MAX 32

#define CONTEXT(n) (CBS_ASN1_CONTEXT_SPECIFIC | (n))
#define EXPLICIT(n) (CBS_ASN1_CONSTRUCTED | CONTEXT(n))

static const uint8_t basic_oid[] = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01};
static const uint8_t sha1_oid[] = {0x2b, 0x0e, 0x03, 0x02, 0x1a};
static const uint8_t sha256_oid[] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01};
static const uint8_t rsa_oid[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01};
static const uint8_t ecdsa_oid[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03};

struct basic {
    CBS data; // ResponseData, with its header: what is signed
    CBS algorithm;
    CBS signature;
    CBS certs; // may be empty
    CBS responder;
    CBS_ASN1_TAG responder_tag; // EXPLICIT(1): by name, EXPLICIT(2): by key
};

const char *ocsp_status_name(enum ocsp_status status) {
    static const char *const names[] = {
        [OCSP_GOOD] = "good", [OCSP_REVOKED] = "revoked", [OCSP_UNKNOWN] = "unknown"};
    return names[status];
}

// --- reading

static bool fail(struct err *err, const char *what) {
    return ERR_SET(err, ERR_INPUT, "%s", what);
}

static bool read_envelope(struct span der, CBS *out, struct err *err) {
    CBS cbs, response, status, explicit, bytes, oid;
    CBS_init(&cbs, der.ptr, der.len);
    uint8_t code = 0;
    if (!CBS_get_asn1(&cbs, &response, CBS_ASN1_SEQUENCE) || CBS_len(&cbs) != 0 ||
        !CBS_get_asn1(&response, &status, CBS_ASN1_ENUMERATED) || !CBS_get_u8(&status, &code) ||
        CBS_len(&status) != 0) {
        return fail(err, "it is no OCSP response in DER");
    }
    if (code != 0) {
        return ERR_SET(err, ERR_INPUT, "the responder has refused to answer (status %u)", code);
    }
    if (!CBS_get_asn1(&response, &explicit, EXPLICIT(0)) || CBS_len(&response) != 0 ||
        !CBS_get_asn1(&explicit, &bytes, CBS_ASN1_SEQUENCE) || CBS_len(&explicit) != 0 ||
        !CBS_get_asn1(&bytes, &oid, CBS_ASN1_OBJECT) ||
        !CBS_mem_equal(&oid, basic_oid, sizeof(basic_oid)) ||
        !CBS_get_asn1(&bytes, out, CBS_ASN1_OCTETSTRING) || CBS_len(&bytes) != 0) {
        return fail(err, "it is no basic OCSP response");
    }
    return true;
}

static bool read_basic(CBS cbs, struct basic *out) {
    CBS basic, bits, certs;
    int has_certs = 0;
    uint8_t unused = 0;
    CBS_init(&out->certs, NULL, 0);
    if (!CBS_get_asn1(&cbs, &basic, CBS_ASN1_SEQUENCE) || CBS_len(&cbs) != 0 ||
        !CBS_get_asn1_element(&basic, &out->data, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1(&basic, &out->algorithm, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1(&basic, &bits, CBS_ASN1_BITSTRING) || !CBS_get_u8(&bits, &unused) ||
        unused != 0 || !CBS_get_optional_asn1(&basic, &certs, &has_certs, EXPLICIT(0)) ||
        CBS_len(&basic) != 0) {
        return false;
    }
    out->signature = bits;
    return !has_certs ||
           (CBS_get_asn1(&certs, &out->certs, CBS_ASN1_SEQUENCE) && CBS_len(&certs) == 0);
}

// Extensions that do not matter to us, unless somebody says that they must (RFC 6960 4.4).
static bool read_extensions(CBS *from, CBS_ASN1_TAG tag) {
    CBS outer, list;
    int there = 0;
    if (!CBS_get_optional_asn1(from, &outer, &there, tag)) {
        return false;
    }
    if (!there) {
        return true;
    }
    bool ok = CBS_get_asn1(&outer, &list, CBS_ASN1_SEQUENCE) && CBS_len(&outer) == 0;
    for (size_t i = 0; ok && i < EXTENSIONS_MAX && CBS_len(&list) > 0; i++) {
        CBS extension;
        int is_critical = 0;
        ok = CBS_get_asn1(&list, &extension, CBS_ASN1_SEQUENCE) &&
             CBS_get_asn1(&extension, NULL, CBS_ASN1_OBJECT) &&
             CBS_get_optional_asn1_bool(&extension, &is_critical, CBS_ASN1_BOOLEAN, 0) &&
             !is_critical;
    }
    return ok && CBS_len(&list) == 0;
}

static bool read_data(struct basic *basic, CBS *singles) {
    CBS data = basic->data;
    CBS sequence, time;
    CBS_ASN1_TAG tag = 0;
    bool ok = CBS_get_asn1(&data, &sequence, CBS_ASN1_SEQUENCE) &&
              CBS_get_optional_asn1(&sequence, NULL, NULL, EXPLICIT(0)) &&
              CBS_get_any_asn1(&sequence, &basic->responder, &tag) &&
              (tag == EXPLICIT(1) || tag == EXPLICIT(2)) &&
              CBS_get_asn1(&sequence, &time, CBS_ASN1_GENERALIZEDTIME) &&
              CBS_get_asn1(&sequence, singles, CBS_ASN1_SEQUENCE) &&
              read_extensions(&sequence, EXPLICIT(1)) && CBS_len(&sequence) == 0;
    basic->responder_tag = tag;
    return ok;
}

static bool read_time(CBS *cbs, int64_t *out) {
    CBS text;
    struct tm tm;
    return CBS_get_asn1(cbs, &text, CBS_ASN1_GENERALIZEDTIME) &&
           CBS_parse_generalized_time(&text, &tm, 0) && OPENSSL_tm_to_posix(&tm, out);
}

static bool read_status(CBS *single, enum ocsp_status *out) {
    CBS value;
    CBS_ASN1_TAG tag = 0;
    if (!CBS_get_any_asn1(single, &value, &tag)) {
        return false;
    }
    *out = tag == CONTEXT(0) ? OCSP_GOOD : tag == EXPLICIT(1) ? OCSP_REVOKED : OCSP_UNKNOWN;
    return *out != OCSP_UNKNOWN || tag == CONTEXT(2);
}

static bool read_single(CBS *single, struct ocsp_response *out) {
    CBS next;
    int has_next = 0;
    out->next_update = INT64_MAX;
    return read_status(single, &out->status) && read_time(single, &out->this_update) &&
           CBS_get_optional_asn1(single, &next, &has_next, EXPLICIT(0)) &&
           (!has_next || (read_time(&next, &out->next_update) && CBS_len(&next) == 0)) &&
           read_extensions(single, EXPLICIT(1)) && CBS_len(single) == 0;
}

// --- whom it is about

static const EVP_MD *digest_of_id(CBS *id) {
    CBS algorithm, oid;
    if (!CBS_get_asn1(id, &algorithm, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1(&algorithm, &oid, CBS_ASN1_OBJECT)) {
        return NULL;
    }
    if (CBS_mem_equal(&oid, sha1_oid, sizeof(sha1_oid))) {
        return EVP_sha1();
    }
    return CBS_mem_equal(&oid, sha256_oid, sizeof(sha256_oid)) ? EVP_sha256() : NULL;
}

static bool is_serial_of(const CBS *element, const X509 *leaf) {
    uint8_t *der = NULL;
    int len = i2d_ASN1_INTEGER(X509_get0_serialNumber(leaf), &der);
    bool same = len > 0 && CBS_mem_equal(element, der, (size_t)len);
    OPENSSL_free(der);
    return same;
}

static bool is_about(CBS cert_id, X509 *leaf, X509 *issuer) {
    struct ocsp_id id;
    CBS name_hash, key_hash, serial;
    const EVP_MD *md = digest_of_id(&cert_id);
    return md != NULL && CBS_get_asn1(&cert_id, &name_hash, CBS_ASN1_OCTETSTRING) &&
           CBS_get_asn1(&cert_id, &key_hash, CBS_ASN1_OCTETSTRING) &&
           CBS_get_asn1_element(&cert_id, &serial, CBS_ASN1_INTEGER) && CBS_len(&cert_id) == 0 &&
           ocsp_id_of(md, leaf, issuer, &id) && CBS_mem_equal(&name_hash, id.name, id.len) &&
           CBS_mem_equal(&key_hash, id.key, id.len) && is_serial_of(&serial, leaf);
}

static bool find_single(CBS singles, X509 *leaf, X509 *issuer, struct ocsp_response *out,
                        struct err *err) {
    for (size_t i = 0; i < SINGLES_MAX && CBS_len(&singles) > 0; i++) {
        CBS single, id;
        if (!CBS_get_asn1(&singles, &single, CBS_ASN1_SEQUENCE) ||
            !CBS_get_asn1(&single, &id, CBS_ASN1_SEQUENCE)) {
            return fail(err, "the OCSP response is malformed");
        }
        if (is_about(id, leaf, issuer)) {
            return read_single(&single, out) || fail(err, "the OCSP response is malformed");
        }
    }
    return fail(err, "the OCSP response is about another certificate");
}

// --- who has signed it

static const EVP_MD *digest_of_signature(CBS algorithm, int *key_type) {
    CBS oid;
    uint8_t last = 0;
    if (!CBS_get_asn1(&algorithm, &oid, CBS_ASN1_OBJECT) || !CBS_get_last_u8(&oid, &last)) {
        return NULL;
    }
    bool is_ecdsa = CBS_mem_equal(&oid, ecdsa_oid, sizeof(ecdsa_oid));
    if (!is_ecdsa && !CBS_mem_equal(&oid, rsa_oid, sizeof(rsa_oid))) {
        return NULL;
    }
    *key_type = is_ecdsa ? EVP_PKEY_EC : EVP_PKEY_RSA;
    switch (is_ecdsa ? last : last - 9) { // sha256WithRSAEncryption is 11, ecdsa-with-SHA256 is 2
    case 2:
        return EVP_sha256();
    case 3:
        return EVP_sha384();
    case 4:
        return EVP_sha512();
    default:
        return NULL;
    }
}

static bool is_signed_by(const struct basic *basic, X509 *signer) {
    int key_type = 0;
    const EVP_MD *md = digest_of_signature(basic->algorithm, &key_type);
    EVP_PKEY *key OWNED(EVP_PKEY_free) = X509_get_pubkey(signer);
    if (md == NULL || key == NULL || EVP_PKEY_id(key) != key_type) {
        return false;
    }
    EVP_MD_CTX ctx;
    EVP_MD_CTX_init(&ctx);
    bool ok = EVP_DigestVerifyInit(&ctx, NULL, md, NULL, key) &&
              EVP_DigestVerify(&ctx, CBS_data(&basic->signature), CBS_len(&basic->signature),
                               CBS_data(&basic->data), CBS_len(&basic->data));
    EVP_MD_CTX_cleanup(&ctx);
    return ok;
}

// Whether the response says that it comes from the one who has signed it.
static bool is_named(const struct basic *basic, const X509 *signer) {
    CBS id = basic->responder;
    CBS hash;
    if (basic->responder_tag == EXPLICIT(1)) {
        const uint8_t *at = CBS_data(&id);
        X509_NAME *name = d2i_X509_NAME(NULL, &at, (long)CBS_len(&id));
        bool same = name != NULL && at == CBS_data(&id) + CBS_len(&id) &&
                    X509_NAME_cmp(name, X509_get_subject_name(signer)) == 0;
        X509_NAME_free(name);
        return same;
    }
    uint8_t key[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(signer);
    return CBS_get_asn1(&id, &hash, CBS_ASN1_OCTETSTRING) && CBS_len(&id) == 0 &&
           EVP_Digest(ASN1_STRING_get0_data(bits), (size_t)ASN1_STRING_length(bits), key, &len,
                      EVP_sha1(), NULL) &&
           CBS_mem_equal(&hash, key, len);
}

// The issuer's word that a certificate answers for it, at the time of the answer.
static bool is_delegated(X509 *signer, X509 *issuer, int64_t at) {
    int64_t from = 0;
    int64_t until = 0;
    EVP_PKEY *key OWNED(EVP_PKEY_free) = X509_get_pubkey(issuer);
    return (X509_get_extension_flags(signer) & EXFLAG_XKUSAGE) != 0 &&
           (X509_get_extended_key_usage(signer) & XKU_OCSP_SIGN) != 0 &&
           X509_NAME_cmp(X509_get_issuer_name(signer), X509_get_subject_name(issuer)) == 0 &&
           x509_der_signature_is_accepted(signer) && key != NULL && X509_verify(signer, key) == 1 &&
           x509_der_not_before(signer, &from) && x509_der_not_after(signer, &until) && from <= at &&
           at <= until;
}

static bool is_signed_for(const struct basic *basic, X509 *issuer, int64_t at) {
    if (is_named(basic, issuer) && is_signed_by(basic, issuer)) {
        return true;
    }
    CBS certs = basic->certs;
    for (size_t i = 0; i < SIGNERS_MAX && CBS_len(&certs) > 0; i++) {
        CBS element;
        if (!CBS_get_asn1_element(&certs, &element, CBS_ASN1_SEQUENCE)) {
            return false;
        }
        CRYPTO_BUFFER *buffer OWNED(CRYPTO_BUFFER_free) =
            CRYPTO_BUFFER_new_from_CBS(&element, NULL);
        X509 *signer OWNED(X509_free) = buffer == NULL ? NULL : x509_der_parse(buffer, NULL);
        if (signer != NULL && is_named(basic, signer) && is_delegated(signer, issuer, at) &&
            is_signed_by(basic, signer)) {
            return true;
        }
    }
    return false;
}

bool ocsp_response_read(struct span der, X509 *leaf, X509 *issuer, struct ocsp_response *out,
                        struct err *err) {
    CBS bytes, singles;
    struct basic basic;
    bool ok = ocsp_id_is_issuer(leaf, issuer) ||
              fail(err, "the second certificate of the chain has not issued the first");
    ok = ok && read_envelope(der, &bytes, err);
    ok = ok && ((read_basic(bytes, &basic) && read_data(&basic, &singles)) ||
                fail(err, "the OCSP response is malformed"));
    ok = ok && find_single(singles, leaf, issuer, out, err);
    ok = ok && (is_signed_for(&basic, issuer, out->this_update) ||
                fail(err, "the OCSP response is not signed by the certificate's issuer, or by a "
                          "certificate that it issued for OCSP, with SHA-256 or better"));
    ERR_clear_error();
    return ok;
}
