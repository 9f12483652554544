#include "authority/certificate.h"

#include <stdio.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/digest.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/obj.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/span.h"

// 127 random bits: positive, never more than 16 bytes, and far over the 64 that CAs must have.
#define SERIAL_BITS 127
#define KEY_ID_LEN 20

OWN_DEFINE(X509, X509_free)
OWN_DEFINE(EVP_PKEY, EVP_PKEY_free)
OWN_DEFINE(EC_KEY, EC_KEY_free)
OWN_DEFINE(BIGNUM, BN_free)
OWN_DEFINE(ASN1_BIT_STRING, ASN1_BIT_STRING_free)
OWN_DEFINE(ASN1_OCTET_STRING, ASN1_OCTET_STRING_free)
OWN_DEFINE(BASIC_CONSTRAINTS, BASIC_CONSTRAINTS_free)
OWN_DEFINE(AUTHORITY_KEYID, AUTHORITY_KEYID_free)
OWN_DEFINE(EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free)
OWN_DEFINE(GENERAL_NAMES, GENERAL_NAMES_free)
OWN_DEFINE(GENERAL_NAME, GENERAL_NAME_free)
OWN_DEFINE(X509_NAME, X509_NAME_free)

EVP_PKEY *certificate_key_new(struct err *err) {
    OWNED(EC_KEY_free) EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    OWNED(EVP_PKEY_free) EVP_PKEY *key = EVP_PKEY_new();
    if (ec == NULL || key == NULL || !EC_KEY_generate_key(ec) || !EVP_PKEY_set1_EC_KEY(key, ec)) {
        ERR_SET(err, ERR_ENVIRONMENT, "cannot make a P-256 key");
        return NULL;
    }
    return take(&key);
}

static bool set_serial(X509 *cert) {
    OWNED(BN_free) BIGNUM *serial = BN_new();
    return serial != NULL && BN_rand(serial, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) &&
           BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert)) != NULL;
}

static bool set_validity(X509 *cert, struct certificate_validity validity) {
    return ASN1_TIME_set_posix(X509_getm_notBefore(cert), validity.not_before) != NULL &&
           ASN1_TIME_set_posix(X509_getm_notAfter(cert), validity.not_after) != NULL;
}

static bool add_name_entry(X509_NAME *name, const char *field, const char *value) {
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_ASC, (const uint8_t *)value, -1, -1, 0);
}

// The first bytes of the SHA-256 of the public key (RFC 7093 section 2, method 1).
static bool key_id_of(EVP_PKEY *key, uint8_t out[KEY_ID_LEN]) {
    uint8_t digest[SHA256_DIGEST_LENGTH];
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    if (len <= 0) {
        return false;
    }
    SHA256(der, (size_t)len, digest);
    OPENSSL_free(der);
    memcpy(out, digest, KEY_ID_LEN);
    return true;
}

static bool add_subject_key_id(X509 *cert, EVP_PKEY *key) {
    uint8_t id[KEY_ID_LEN];
    OWNED(ASN1_OCTET_STRING_free) ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    return value != NULL && key_id_of(key, id) && ASN1_OCTET_STRING_set(value, id, sizeof(id)) &&
           X509_add1_ext_i2d(cert, NID_subject_key_identifier, value, 0, 0);
}

// Tells verifiers which of several roots signed: they share nothing but the trust domain.
static bool add_authority_key_id(X509 *cert, EVP_PKEY *issuer_key) {
    uint8_t id[KEY_ID_LEN];
    OWNED(AUTHORITY_KEYID_free) AUTHORITY_KEYID *value = AUTHORITY_KEYID_new();
    if (value == NULL || !key_id_of(issuer_key, id)) {
        return false;
    }
    value->keyid = ASN1_OCTET_STRING_new();
    return value->keyid != NULL && ASN1_OCTET_STRING_set(value->keyid, id, sizeof(id)) &&
           X509_add1_ext_i2d(cert, NID_authority_key_identifier, value, 0, 0);
}

static bool add_basic_constraints(X509 *cert, bool is_ca) {
    OWNED(BASIC_CONSTRAINTS_free) BASIC_CONSTRAINTS *value = BASIC_CONSTRAINTS_new();
    if (value == NULL) {
        return false;
    }
    value->ca = is_ca ? ASN1_BOOLEAN_TRUE : ASN1_BOOLEAN_FALSE;
    if (is_ca) { // signs leaves only
        value->pathlen = ASN1_INTEGER_new();
        if (value->pathlen == NULL || !ASN1_INTEGER_set_uint64(value->pathlen, 0)) {
            return false;
        }
    }
    return X509_add1_ext_i2d(cert, NID_basic_constraints, value, 1, 0);
}

// Bit numbers of RFC 5280 section 4.2.1.3.
enum { KU_BIT_DIGITAL_SIGNATURE = 0, KU_BIT_KEY_CERT_SIGN = 5, KU_BIT_CRL_SIGN = 6 };

static bool add_key_usage(X509 *cert, bool is_ca) {
    OWNED(ASN1_BIT_STRING_free) ASN1_BIT_STRING *value = ASN1_BIT_STRING_new();
    if (value == NULL) {
        return false;
    }
    bool set = is_ca ? ASN1_BIT_STRING_set_bit(value, KU_BIT_KEY_CERT_SIGN, 1) &&
                           ASN1_BIT_STRING_set_bit(value, KU_BIT_CRL_SIGN, 1)
                     : ASN1_BIT_STRING_set_bit(value, KU_BIT_DIGITAL_SIGNATURE, 1);
    return set && X509_add1_ext_i2d(cert, NID_key_usage, value, 1, 0);
}

static bool add_extended_key_usage(X509 *cert, bool is_server_only) {
    OWNED(EXTENDED_KEY_USAGE_free) EXTENDED_KEY_USAGE *value = EXTENDED_KEY_USAGE_new();
    return value != NULL && sk_ASN1_OBJECT_push(value, OBJ_nid2obj(NID_server_auth)) &&
           (is_server_only || sk_ASN1_OBJECT_push(value, OBJ_nid2obj(NID_client_auth))) &&
           X509_add1_ext_i2d(cert, NID_ext_key_usage, value, 0, 0);
}

// Appends one name; `type` is that of a name whose value is such a string.
static bool push_name(GENERAL_NAMES *names, int type, ASN1_STRING *text, struct span value) {
    OWNED(GENERAL_NAME_free) GENERAL_NAME *name = GENERAL_NAME_new();
    if (name == NULL || text == NULL) {
        ASN1_STRING_free(text);
        return false;
    }
    GENERAL_NAME_set0_value(name, type, text); // `name` owns the text from here on
    if (!ASN1_STRING_set(text, value.ptr, (ossl_ssize_t)value.len) ||
        !sk_GENERAL_NAME_push(names, name)) {
        return false;
    }
    (void)take(&name); // `names` owns it
    return true;
}

static bool add_uri_san(X509 *cert, const char *uri) {
    OWNED(GENERAL_NAMES_free) GENERAL_NAMES *names = GENERAL_NAMES_new();
    return names != NULL && push_name(names, GEN_URI, ASN1_IA5STRING_new(), span_of_text(uri)) &&
           X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0);
}

static bool add_server_sans(X509 *cert, const struct certificate_names *names) {
    OWNED(GENERAL_NAMES_free) GENERAL_NAMES *all = GENERAL_NAMES_new();
    bool ok = all != NULL;
    for (size_t i = 0; ok && i < names->num_dns; i++) {
        ok = push_name(all, GEN_DNS, ASN1_IA5STRING_new(), span_of_text(names->dns[i]));
    }
    for (size_t i = 0; ok && i < names->num_ips; i++) {
        const struct netaddr *ip = &names->ip[i];
        ok = push_name(all, GEN_IPADD, ASN1_OCTET_STRING_new(),
                       span_of(ip->ip, ip->family == NETADDR_V4 ? 4 : 16));
    }
    return ok && X509_add1_ext_i2d(cert, NID_subject_alt_name, all, 0, 0);
}

static X509 *certificate_blank(EVP_PKEY *key, struct certificate_validity validity) {
    OWNED(X509_free) X509 *cert = X509_new();
    if (cert == NULL || !X509_set_version(cert, X509_VERSION_3) || !set_serial(cert) ||
        !set_validity(cert, validity) || !X509_set_pubkey(cert, key)) {
        return NULL;
    }
    return take(&cert);
}

// A name of its own for each root, for people and for verifiers that look issuers up by name.
static bool set_root_name(X509 *cert) {
    uint64_t serial = 0;
    char text[64];
    OWNED(X509_NAME_free) X509_NAME *name = X509_NAME_new();
    OWNED(BN_free) BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
    if (name == NULL || number == NULL || !BN_rshift(number, number, SERIAL_BITS - 63) ||
        !BN_get_u64(number, &serial)) {
        return false;
    }
    (void)snprintf(text, sizeof(text), "Pavise authority %016llx", (unsigned long long)serial);
    return add_name_entry(name, "O", "Pavise") && add_name_entry(name, "CN", text) &&
           X509_set_subject_name(cert, name) && X509_set_issuer_name(cert, name);
}

X509 *certificate_root_new(EVP_PKEY *key, const char *trust_domain,
                           struct certificate_validity validity, struct err *err) {
    char uri[sizeof("spiffe://") + 255];
    int len = snprintf(uri, sizeof(uri), "spiffe://%s", trust_domain);
    if (len < 0 || (size_t)len >= sizeof(uri)) {
        ERR_SET(err, ERR_INPUT, "the trust domain is longer than 255 bytes");
        return NULL;
    }
    OWNED(X509_free) X509 *cert = certificate_blank(key, validity);
    if (cert == NULL || !set_root_name(cert) || !add_basic_constraints(cert, true) ||
        !add_key_usage(cert, true) || !add_subject_key_id(cert, key) || !add_uri_san(cert, uri) ||
        !X509_sign(cert, key, EVP_sha256())) {
        ERR_SET(err, ERR_ENVIRONMENT, "cannot make the CA certificate");
        return NULL;
    }
    return take(&cert);
}

// Everything but the SAN, unsigned.
static X509 *leaf_blank(struct certificate_issuer issuer, EVP_PKEY *key, bool is_server_only,
                        struct certificate_validity validity) {
    OWNED(X509_free) X509 *cert = certificate_blank(key, validity);
    if (cert == NULL || !add_name_entry(X509_get_subject_name(cert), "O", "Pavise") ||
        !X509_set_issuer_name(cert, X509_get_subject_name(issuer.cert)) ||
        !add_basic_constraints(cert, false) || !add_key_usage(cert, false) ||
        !add_extended_key_usage(cert, is_server_only) || !add_subject_key_id(cert, key) ||
        !add_authority_key_id(cert, issuer.key)) {
        return NULL;
    }
    return take(&cert);
}

X509 *certificate_leaf_new(struct certificate_issuer issuer, EVP_PKEY *key, const char *spiffe_id,
                           struct certificate_validity validity, struct err *err) {
    OWNED(X509_free) X509 *cert = leaf_blank(issuer, key, false, validity);
    if (cert == NULL || !add_uri_san(cert, spiffe_id) ||
        !X509_sign(cert, issuer.key, EVP_sha256())) {
        ERR_SET(err, ERR_ENVIRONMENT, "cannot make the certificate of %s", spiffe_id);
        return NULL;
    }
    return take(&cert);
}

X509 *certificate_server_new(struct certificate_issuer issuer, EVP_PKEY *key,
                             const struct certificate_names *names,
                             struct certificate_validity validity, struct err *err) {
    OWNED(X509_free) X509 *cert = leaf_blank(issuer, key, true, validity);
    if (cert == NULL || !add_server_sans(cert, names) ||
        !X509_sign(cert, issuer.key, EVP_sha256())) {
        ERR_SET(err, ERR_ENVIRONMENT, "cannot make the certificate of the TLS server");
        return NULL;
    }
    return take(&cert);
}

bool certificate_validity_of(const X509 *cert, struct certificate_validity *out) {
    int64_t not_before = 0;
    int64_t not_after = 0;
    if (!ASN1_TIME_to_posix(X509_get0_notBefore(cert), &not_before) ||
        !ASN1_TIME_to_posix(X509_get0_notAfter(cert), &not_after)) {
        return false;
    }
    *out = (struct certificate_validity){.not_before = not_before, .not_after = not_after};
    return true;
}
