#include "certmgr/csr.h"

#include <stdint.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bytestring.h>
#include <openssl/digest.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "certmgr/x509_der.h"

#define PKCS8_ROOM 256 // bytes, more than a P-256 key takes

OWN_DEFINE(X509_REQ, X509_REQ_free)
OWN_DEFINE(X509_EXTENSION, X509_EXTENSION_free)
OWN_DEFINE(EC_KEY, EC_KEY_free)
OWN_DEFINE(GENERAL_NAMES, GENERAL_NAMES_free)
OWN_DEFINE(GENERAL_NAME, GENERAL_NAME_free)
OWN_DEFINE(BIO, BIO_free_all)

static EVP_PKEY *make_key(void) {
    OWNED(EC_KEY_free) EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    OWNED(EVP_PKEY_free) EVP_PKEY *key = EVP_PKEY_new();
    if (ec == NULL || key == NULL || !EC_KEY_generate_key(ec) || !EVP_PKEY_set1_EC_KEY(key, ec)) {
        return NULL;
    }
    return take(&key);
}

static GENERAL_NAMES *make_names(const char *uri) {
    OWNED(GENERAL_NAMES_free) GENERAL_NAMES *names = GENERAL_NAMES_new();
    OWNED(GENERAL_NAME_free) GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    if (names == NULL || name == NULL || text == NULL) {
        ASN1_IA5STRING_free(text);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, GEN_URI, text); // `name` owns the text from here on
    if (!ASN1_STRING_set(text, uri, (ossl_ssize_t)strlen(uri)) ||
        !sk_GENERAL_NAME_push(names, name)) {
        return NULL;
    }
    (void)take(&name); // `names` owns it
    return take(&names);
}

static bool add_san(X509_REQ *req, const char *uri) {
    OWNED(GENERAL_NAMES_free) GENERAL_NAMES *names = make_names(uri);
    if (names == NULL) {
        return false;
    }
    OWNED(X509_EXTENSION_free)
    X509_EXTENSION *san = X509V3_EXT_i2d(NID_subject_alt_name, 1, names);
    STACK_OF(X509_EXTENSION) *all = sk_X509_EXTENSION_new_null();
    bool ok = san != NULL && all != NULL && sk_X509_EXTENSION_push(all, san) &&
              X509_REQ_add_extensions(req, all);
    sk_X509_EXTENSION_free(all); // not what is in it
    return ok;
}

static X509_REQ *make_request(EVP_PKEY *key, const char *spiffe_id) {
    OWNED(X509_REQ_free) X509_REQ *req = X509_REQ_new();
    if (req == NULL || !X509_REQ_set_version(req, X509_REQ_VERSION_1) ||
        !X509_REQ_set_pubkey(req, key) || (spiffe_id != NULL && !add_san(req, spiffe_id)) ||
        !X509_REQ_sign(req, key, EVP_sha256())) {
        return NULL;
    }
    return take(&req);
}

static bool append_request(X509_REQ *req, struct buf *out) {
    uint8_t *der = NULL;
    int len = i2d_X509_REQ(req, &der);
    bool ok = len > 0 && buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    return ok;
}

static bool append_key(const EVP_PKEY *key, struct buf *out) {
    CBB cbb;
    uint8_t *to = buf_reserve(out, PKCS8_ROOM);
    size_t len = 0;
    if (to == NULL || !CBB_init_fixed(&cbb, to, PKCS8_ROOM)) {
        return false;
    }
    if (!EVP_marshal_private_key(&cbb, key) || !CBB_finish(&cbb, NULL, &len)) {
        CBB_cleanup(&cbb);
        return false;
    }
    buf_commit(out, len);
    return true;
}

bool csr_new(const char *spiffe_id, struct buf *csr_der, struct buf *key_der, struct err *err) {
    OWNED(EVP_PKEY_free) EVP_PKEY *key = make_key();
    OWNED(X509_REQ_free) X509_REQ *req = key != NULL ? make_request(key, spiffe_id) : NULL;
    if (req == NULL || !append_key(key, key_der) || !append_request(req, csr_der)) {
        ERR_clear_error();
        return ERR_SET(err, ERR_ENVIRONMENT, "cannot make a key and a certificate request");
    }
    return true;
}

// Nobody is asked for a password.
static int no_password(char *out UNUSED, int size UNUSED, int writing UNUSED, void *arg UNUSED) {
    return -1;
}

EVP_PKEY *csr_open(struct span pem, struct err *err) {
    OWNED(BIO_free_all) BIO *bio = BIO_new_mem_buf(pem.ptr, (ossl_ssize_t)pem.len);
    OWNED(X509_REQ_free)
    X509_REQ *req = bio != NULL ? PEM_read_bio_X509_REQ(bio, NULL, no_password, NULL) : NULL;
    OWNED(EVP_PKEY_free) EVP_PKEY *key = req != NULL ? X509_REQ_get_pubkey(req) : NULL;
    if (key == NULL) {
        ERR_SET(err, ERR_INPUT, "the CSR is not a PEM certificate request with a known key");
    } else if (!x509_der_public_key_is_accepted(key)) {
        ERR_SET(err, ERR_INPUT, "the CSR's key must be P-256, P-384 or RSA of 2048 to 4096 bits");
    } else if (X509_REQ_verify(req, key) != 1) {
        ERR_SET(err, ERR_INPUT, "the CSR's signature does not verify with its own key");
    } else {
        return take(&key);
    }
    ERR_clear_error();
    return NULL;
}
