#include "agent/tls/edge_chain.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bytestring.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "agent/tls/client_hello.h"
#include "certmgr/x509_der.h"

#define CHAIN_MAX 16

OWN_DEFINE(BIO, BIO_free_all)
OWN_DEFINE(GENERAL_NAMES, GENERAL_NAMES_free)

static bool read_chain(struct edge_certificate *out, struct span rest, struct err *err) {
    out->chain = calloc(CHAIN_MAX, sizeof(*out->chain));
    while (out->chain != NULL && rest.len > 0) {
        struct span one;
        if (out->num_chain == CHAIN_MAX) {
            return ERR_SET(err, ERR_INPUT, "certFile: a chain holds at most %d certificates",
                           CHAIN_MAX);
        }
        if (!x509_der_next(&rest, &one, err)) {
            return err_wrap(err, "certFile");
        }
        CRYPTO_BUFFER *buffer = CRYPTO_BUFFER_new(one.ptr, one.len, NULL);
        if (buffer == NULL) {
            break;
        }
        out->chain[out->num_chain++] = buffer;
    }
    return (out->num_chain > 0 && rest.len == 0) || ERR_NO_MEMORY(err, "reading a certificate");
}

static bool kind_of(const EVP_PKEY *key, enum edge_key *out) {
    int id = EVP_PKEY_id(key);
    if (id == EVP_PKEY_RSA) {
        *out = EDGE_KEY_RSA;
        return true;
    }
    if (id != EVP_PKEY_EC) {
        return false;
    }
    int curve = EC_GROUP_get_curve_name(EC_KEY_get0_group(EVP_PKEY_get0_EC_KEY(key)));
    *out = curve == NID_secp384r1 ? EDGE_KEY_P384 : EDGE_KEY_P256;
    return curve == NID_secp384r1 || curve == NID_X9_62_prime256v1;
}

bool edge_chain_fill(struct edge_certificate *out, struct span chain, struct span key,
                     struct err *err) {
    if (!read_chain(out, chain, err)) {
        return false;
    }
    X509 *leaf OWNED(X509_free) = x509_der_parse(out->chain[0], err);
    CBS cbs;
    CBS_init(&cbs, key.ptr, key.len);
    out->key = EVP_parse_private_key(&cbs);
    ERR_clear_error();
    if (leaf == NULL || !x509_der_not_after(leaf, &out->not_after)) {
        return err_wrap(err, "certFile");
    }
    if (out->key == NULL || !kind_of(out->key, &out->kind)) {
        return ERR_SET(err, ERR_INPUT, "keyFile: the key is none of RSA, P-256 and P-384");
    }
    bool matches = X509_check_private_key(leaf, out->key) == 1;
    ERR_clear_error();
    return matches || ERR_SET(err, ERR_INPUT, "keyFile: the key is not that of the certificate");
}

static bool add_name(struct edge_certificate *out, const ASN1_STRING *string) {
    size_t len = (size_t)ASN1_STRING_length(string);
    const uint8_t *from = ASN1_STRING_get0_data(string);
    char *name = len == 0 || len > SERVER_NAME_MAX || memchr(from, '\0', len) != NULL
                     ? NULL
                     : strndup((const char *)from, len);
    if (name == NULL) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        name[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
    }
    out->server_names[out->num_server_names++] = name;
    return true;
}

static void take_common_name(struct edge_certificate *out, X509 *leaf) {
    X509_NAME *subject = X509_get_subject_name(leaf);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at >= 0) {
        (void)add_name(out, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    }
}

bool edge_chain_take_names(struct edge_certificate *out, struct err *err) {
    X509 *leaf OWNED(X509_free) = x509_der_parse(out->chain[0], err);
    if (leaf == NULL) {
        return false;
    }
    GENERAL_NAMES *names OWNED(GENERAL_NAMES_free) =
        X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    size_t num = names == NULL ? 0 : sk_GENERAL_NAME_num(names);
    out->server_names = calloc(num + 1, sizeof(*out->server_names));
    for (size_t i = 0; out->server_names != NULL && i < num; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS) {
            (void)add_name(out, name->d.dNSName);
        }
    }
    if (out->server_names != NULL && out->num_server_names == 0) {
        take_common_name(out, leaf);
    }
    ERR_clear_error();
    return out->num_server_names > 0 ||
           ERR_SET(err, ERR_INPUT,
                   "serverNames: none is given, and the certificate has no DNS name either");
}

static int give_passphrase(char *out, int cap, int rwflag, void *arg) {
    (void)rwflag;
    const struct span *passphrase = arg;
    if (cap < 0 || passphrase->len > (size_t)cap) {
        return 0;
    }
    memcpy(out, passphrase->ptr, passphrase->len);
    return (int)passphrase->len;
}

bool edge_chain_decrypt(struct span pem, struct span passphrase, struct buf *out, struct err *err) {
    BIO *bio OWNED(BIO_free_all) = BIO_new_mem_buf(pem.ptr, (ossl_ssize_t)pem.len);
    EVP_PKEY *key OWNED(EVP_PKEY_free) =
        bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &passphrase);
    CBB cbb;
    uint8_t *der = NULL;
    size_t len = 0;
    bool ok = key != NULL && CBB_init(&cbb, 0);
    if (ok) {
        ok = EVP_marshal_private_key(&cbb, key) && CBB_finish(&cbb, &der, &len) &&
             buf_append(out, der, len);
        CBB_cleanup(&cbb);
    }
    OPENSSL_free(der);
    ERR_clear_error();
    return ok || ERR_SET(err, ERR_INPUT, "does not decrypt: a wrong passphrase, or no private key");
}
