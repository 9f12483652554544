#include "agent/http/client_headers.h"

#include <stdio.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/digest.h>
#include <openssl/mem.h>
#include <openssl/x509.h>

#include "agent/http/http_chars.h"

#define SUBJECT_MAX 4096
#define SERIAL_MAX 20 // bytes, RFC 5280 section 4.1.2.2

OWN_DEFINE(X509, X509_free)
OWN_DEFINE(BIGNUM, BN_free)

static void bio_free(BIO *bio) {
    (void)BIO_free(bio);
}
OWN_DEFINE(BIO, bio_free)

static bool subject_of(const X509 *cert, char out[SUBJECT_MAX + 1]) {
    OWNED(bio_free) BIO *bio = BIO_new(BIO_s_mem());
    const uint8_t *text = NULL;
    size_t len = 0;
    if (bio == NULL ||
        X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) < 0 ||
        !BIO_mem_contents(bio, &text, &len) || len > SUBJECT_MAX ||
        !http_chars_is_field_value(span_of(text, len))) {
        return false;
    }
    if (len > 0) {
        memcpy(out, text, len);
    }
    out[len] = '\0';
    return true;
}

// As openssl prints it: whole bytes.
static bool serial_of(const X509 *cert, char out[2 * SERIAL_MAX + 2]) {
    OWNED(BN_free)
    BIGNUM *serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
    uint8_t bytes[SERIAL_MAX];
    if (serial == NULL || BN_is_negative(serial) || BN_num_bytes(serial) > SERIAL_MAX) {
        return false;
    }
    size_t len = BN_bn2bin(serial, bytes);
    for (size_t i = 0; i < len; i++) {
        snprintf(out + 2 * i, 3, "%02X", bytes[i]);
    }
    if (len == 0) {
        memcpy(out, "00", 3);
    }
    return true;
}

static bool digest_of(const EVP_MD *md, struct span der, char out[2 * EVP_MAX_MD_SIZE + 1]) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (!EVP_Digest(der.ptr, der.len, digest, &len, md, NULL)) {
        return false;
    }
    for (unsigned i = 0; i < len; i++) {
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
    return true;
}

static bool set(struct http_fields *out, const char *name, const char *value) {
    return http_fields_set(out, name, span_of_text(value)) == HTTP_FIELDS_OK;
}

// The subject's quotes are escaped already: RFC 2253 writes them with a backslash.
static bool set_forwarded(struct http_fields *out, const char *sha256, const char *subject,
                          const char *spiffe_id) {
    char text[SUBJECT_MAX + 2400];
    int len = snprintf(text, sizeof(text), "Hash=%s;Subject=\"%s\"%s%s", sha256, subject,
                       spiffe_id == NULL ? "" : ";URI=", spiffe_id == NULL ? "" : spiffe_id);
    return len > 0 && (size_t)len < sizeof(text) && set(out, "X-Forwarded-Client-Cert", text);
}

bool client_headers_from_der(struct http_fields *out, struct span der, const char *spiffe_id,
                             struct err *err) {
    const uint8_t *at = der.ptr;
    OWNED(X509_free) X509 *cert = d2i_X509(NULL, &at, (long)der.len);
    char subject[SUBJECT_MAX + 1];
    char serial[2 * SERIAL_MAX + 2];
    char sha1[2 * EVP_MAX_MD_SIZE + 1];
    char sha256[2 * EVP_MAX_MD_SIZE + 1];
    if (cert == NULL || at != der.ptr + der.len) {
        return ERR_SET(err, ERR_INPUT, "the client's certificate cannot be read");
    }
    if (!subject_of(cert, subject) || !serial_of(cert, serial) ||
        !digest_of(EVP_sha1(), der, sha1) || !digest_of(EVP_sha256(), der, sha256) ||
        (spiffe_id != NULL && !http_chars_is_target(span_of_text(spiffe_id)))) {
        return ERR_SET(err, ERR_INPUT,
                       "the client's certificate has a subject or serial number that cannot be "
                       "written into headers");
    }
    if (!set(out, "X-Ssl-Client-S-DN", subject) || !set(out, "X-Ssl-Client-Serial", serial) ||
        !set(out, "X-Ssl-Client-Fingerprint", sha1) || !set(out, "X-Ssl-Client-Sha256", sha256) ||
        (spiffe_id != NULL && !set(out, "X-Ssl-Client-Spiffe-Id", spiffe_id)) ||
        !set_forwarded(out, sha256, subject, spiffe_id)) {
        return ERR_NO_MEMORY(err, "writing the client's certificate into headers");
    }
    return true;
}
