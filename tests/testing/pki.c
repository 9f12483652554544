#include "tests/testing/pki.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/bytestring.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define RSA_REAL_BITS_MAX 2048 // making longer keys takes seconds

struct pki_cert {
    X509 *x509;
    EVP_PKEY *key;
    CRYPTO_BUFFER *der;
    uint8_t *key_der;
    size_t key_der_len;
};

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "pki: %s:%d: %s\n", __FILE__, __LINE__, #condition);                   \
            ERR_print_errors_fp(stderr);                                                           \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static EVP_PKEY *make_ec_key(int curve) {
    EVP_PKEY *key = EVP_PKEY_new();
    EC_KEY *ec = EC_KEY_new_by_curve_name(curve);
    MUST(key != NULL && ec != NULL && EC_KEY_generate_key(ec) && EVP_PKEY_assign_EC_KEY(key, ec));
    return key;
}

static EVP_PKEY *make_ed25519_key(void) {
    uint8_t seed[32];
    RAND_bytes(seed, sizeof seed);
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
    MUST(key != NULL);
    return key;
}

static EVP_PKEY *make_rsa_key(int bits) {
    EVP_PKEY *key = EVP_PKEY_new();
    RSA *rsa = RSA_new();
    BIGNUM *exponent = BN_new();
    MUST(key != NULL && rsa != NULL && exponent != NULL && BN_set_word(exponent, RSA_F4));
    if (bits <= RSA_REAL_BITS_MAX) {
        MUST(RSA_generate_key_ex(rsa, bits, exponent, NULL));
        BN_free(exponent);
    } else {
        BIGNUM *modulus = BN_new();
        MUST(modulus != NULL && BN_rand(modulus, bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD));
        MUST(RSA_set0_key(rsa, modulus, exponent, NULL));
    }
    MUST(EVP_PKEY_assign_RSA(key, rsa));
    return key;
}

static EVP_PKEY *make_key(enum pki_key kind) {
    switch (kind) {
    case PKI_P256:
        return make_ec_key(NID_X9_62_prime256v1);
    case PKI_P224:
        return make_ec_key(NID_secp224r1);
    case PKI_P384:
        return make_ec_key(NID_secp384r1);
    case PKI_P521:
        return make_ec_key(NID_secp521r1);
    case PKI_ED25519:
        return make_ed25519_key();
    case PKI_RSA512:
        return make_rsa_key(512);
    case PKI_RSA1024:
        return make_rsa_key(1024);
    case PKI_RSA2048:
        return make_rsa_key(2048);
    case PKI_RSA4096:
        return make_rsa_key(4096);
    case PKI_RSA8192:
        return make_rsa_key(8192);
    }
    abort();
}

static uint64_t random_u64(void) {
    uint64_t value;
    RAND_bytes((uint8_t *)&value, sizeof value);
    return value;
}

static void set_names(X509 *x509, const X509 *issuer, const char *common_name) {
    char name[32];
    snprintf(name, sizeof name, "test %016llx", (unsigned long long)random_u64());
    X509_NAME *subject = X509_get_subject_name(x509);
    const char *text = common_name == NULL ? name : common_name;
    if (text[0] != '\0') {
        MUST(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const uint8_t *)text, -1, -1,
                                        0));
    }
    MUST(X509_set_issuer_name(x509, X509_get_subject_name(issuer)));
}

static void set_times_and_serial(X509 *x509, const struct pki_options *options) {
    int64_t from = options->not_before == 0 ? PKI_NOT_BEFORE : options->not_before;
    int64_t until = options->not_after == 0 ? PKI_NOT_AFTER : options->not_after;
    uint64_t serial = options->serial == 0 ? (random_u64() >> 1) | 1 : options->serial;
    MUST(ASN1_TIME_set_posix(X509_getm_notBefore(x509), from));
    MUST(ASN1_TIME_set_posix(X509_getm_notAfter(x509), until));
    MUST(ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), serial));
}

static void add_raw(X509 *x509, int nid, bool critical, struct span der) {
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    MUST(value != NULL && ASN1_STRING_set(value, der.ptr, (ossl_ssize_t)der.len));
    X509_EXTENSION *extension = X509_EXTENSION_create_by_NID(NULL, nid, critical, value);
    MUST(extension != NULL && X509_add_ext(x509, extension, -1));
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
}

static void add_text(X509 *x509, int nid, const char *text, const char *otherwise) {
    const char *value = text == NULL ? otherwise : text;
    if (value[0] == '\0') {
        return;
    }
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, x509, x509, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
    MUST(extension != NULL && X509_add_ext(x509, extension, -1));
    X509_EXTENSION_free(extension);
}

static size_t push_names(GENERAL_NAMES *names, int type, const struct span *values) {
    size_t num = 0;
    for (size_t i = 0; i < PKI_NAMES_MAX && values[i].ptr != NULL; i++, num++) {
        GENERAL_NAME *name = GENERAL_NAME_new();
        ASN1_IA5STRING *text = ASN1_IA5STRING_new();
        MUST(name != NULL && text != NULL &&
             ASN1_STRING_set(text, values[i].ptr, (ossl_ssize_t)values[i].len));
        GENERAL_NAME_set0_value(name, type, text);
        MUST(sk_GENERAL_NAME_push(names, name));
    }
    return num;
}

static void add_sans(X509 *x509, const struct pki_options *options) {
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    size_t num = push_names(names, GEN_URI, options->uris) +
                 push_names(names, GEN_DNS, options->dns) +
                 push_names(names, GEN_EMAIL, options->emails);
    if (options->san_der.ptr != NULL) {
        add_raw(x509, NID_subject_alt_name, false, options->san_der);
    } else if (num > 0) {
        MUST(X509_add1_ext_i2d(x509, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT));
    }
    if (options->second_san_der.ptr != NULL) {
        add_raw(x509, NID_subject_alt_name, false, options->second_san_der);
    }
    GENERAL_NAMES_free(names);
}

// The identifiers are the SHA-1 of the public key, as usual (RFC 5280 4.2.1.2).
static void add_key_ids(X509 *x509, const struct pki_cert *issuer) {
    add_text(x509, NID_subject_key_identifier, "hash", "");
    const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(issuer == NULL ? x509 : issuer->x509);
    if (id == NULL) {
        return;
    }
    AUTHORITY_KEYID *authority = AUTHORITY_KEYID_new();
    MUST(authority != NULL && (authority->keyid = ASN1_OCTET_STRING_dup(id)) != NULL);
    MUST(X509_add1_ext_i2d(x509, NID_authority_key_identifier, authority, 0, X509V3_ADD_DEFAULT));
    AUTHORITY_KEYID_free(authority);
}

static void add_unknown_extension(X509 *x509, const char *text) {
    if (text == NULL) {
        return;
    }
    static const uint8_t null_der[] = {5, 0};
    ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.4.1.55555.1", 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    MUST(oid != NULL && value != NULL && ASN1_STRING_set(value, null_der, sizeof null_der));
    X509_EXTENSION *extension =
        X509_EXTENSION_create_by_OBJ(NULL, oid, strcmp(text, "critical") == 0, value);
    MUST(extension != NULL && X509_add_ext(x509, extension, -1));
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(oid);
}

static void add_extensions(X509 *x509, const struct pki_cert *issuer,
                           const struct pki_options *options) {
    bool ca = options->ca;
    add_text(x509, NID_basic_constraints, options->basic_constraints,
             ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    add_text(x509, NID_key_usage, options->key_usage,
             ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
    add_text(x509, NID_ext_key_usage, options->extended_key_usage,
             ca ? "" : "serverAuth,clientAuth");
    add_text(x509, NID_name_constraints, options->name_constraints, "");
    add_sans(x509, options);
    if (!options->no_key_ids) {
        add_key_ids(x509, issuer);
    }
    add_unknown_extension(x509, options->unknown_extension);
}

static const EVP_MD *digest_of(const EVP_PKEY *key, enum pki_digest digest) {
    if (EVP_PKEY_id(key) == EVP_PKEY_ED25519) {
        return NULL;
    }
    switch (digest) {
    case PKI_SHA256:
        return EVP_sha256();
    case PKI_SHA1:
        return EVP_sha1();
    case PKI_SHA384:
        return EVP_sha384();
    case PKI_SHA512:
        return EVP_sha512();
    }
    abort();
}

static void encode(struct pki_cert *cert, bool bad_signature) {
    uint8_t *der = NULL;
    int len = i2d_X509(cert->x509, &der);
    MUST(len > 0);
    if (bad_signature) {
        der[len - 1] ^= 1; // the signature's last bit
        const uint8_t *start = der;
        X509_free(cert->x509);
        cert->x509 = d2i_X509(NULL, &start, len);
        MUST(cert->x509 != NULL);
    }
    cert->der = CRYPTO_BUFFER_new(der, (size_t)len, NULL);
    MUST(cert->der != NULL);
    OPENSSL_free(der);
    CBB cbb;
    MUST(CBB_init(&cbb, 256));
    if (EVP_marshal_private_key(&cbb, cert->key)) {
        MUST(CBB_finish(&cbb, &cert->key_der, &cert->key_der_len));
    } else {
        CBB_cleanup(&cbb); // a key that is public only
    }
    ERR_clear_error();
}

struct pki_cert *pki_issue(const struct pki_cert *issuer, const struct pki_options *options) {
    struct pki_cert *cert = calloc(1, sizeof *cert);
    MUST(cert != NULL);
    cert->x509 = X509_new();
    cert->key = options->use_key;
    if (cert->key != NULL) {
        EVP_PKEY_up_ref(cert->key);
    } else {
        cert->key = make_key(options->key);
    }
    X509 *x509 = cert->x509;
    MUST(X509_set_version(x509, options->version1 ? X509_VERSION_1 : X509_VERSION_3));
    MUST(X509_set_pubkey(x509, cert->key));
    set_names(x509, issuer == NULL ? x509 : issuer->x509, options->common_name);
    set_times_and_serial(x509, options);
    if (!options->version1) {
        add_extensions(x509, issuer, options);
    }
    EVP_PKEY *signer = issuer == NULL ? cert->key : issuer->key;
    MUST(X509_sign(x509, signer, digest_of(signer, options->digest)));
    encode(cert, options->bad_signature);
    return cert;
}

void pki_free(struct pki_cert *cert) {
    if (cert != NULL) {
        X509_free(cert->x509);
        EVP_PKEY_free(cert->key);
        CRYPTO_BUFFER_free(cert->der);
        OPENSSL_free(cert->key_der);
        free(cert);
    }
}

struct pki_cert *pki_ca(void) {
    return pki_issue(NULL, &(struct pki_options){.ca = true});
}

struct pki_cert *pki_intermediate(const struct pki_cert *issuer) {
    return pki_issue(issuer, &(struct pki_options){.ca = true});
}

struct pki_cert *pki_leaf(const struct pki_cert *issuer, const char *spiffe_id) {
    return pki_issue(issuer, &(struct pki_options){.uris = {span_of_text(spiffe_id)}});
}

struct span pki_der(const struct pki_cert *cert) {
    return span_of(CRYPTO_BUFFER_data(cert->der), CRYPTO_BUFFER_len(cert->der));
}

struct span pki_key_der(const struct pki_cert *cert) {
    return span_of(cert->key_der, cert->key_der_len);
}

CRYPTO_BUFFER *pki_buffer(const struct pki_cert *cert) {
    return cert->der;
}

EVP_PKEY *pki_key(const struct pki_cert *cert) {
    return cert->key;
}

X509 *pki_x509(const struct pki_cert *cert) {
    return cert->x509;
}

void pki_bytes_free(struct pki_bytes *bytes) {
    free(bytes);
}

struct span pki_span(const struct pki_bytes *bytes) {
    return span_of(bytes->ptr, bytes->len);
}

struct pki_bytes *pki_concat(const struct pki_cert *const *certs, size_t num) {
    size_t total = 0;
    for (size_t i = 0; i < num; i++) {
        total += pki_der(certs[i]).len;
    }
    struct pki_bytes *bytes = malloc(sizeof *bytes + total);
    MUST(bytes != NULL);
    bytes->len = 0;
    for (size_t i = 0; i < num; i++) {
        struct span der = pki_der(certs[i]);
        memcpy(bytes->ptr + bytes->len, der.ptr, der.len);
        bytes->len += der.len;
    }
    return bytes;
}
