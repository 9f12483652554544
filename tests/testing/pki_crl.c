#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/x509.h>

#include "tests/testing/pki.h"

static void must(bool ok) {
    if (!ok) {
        abort();
    }
}

static void revoke(X509_CRL *crl, const struct pki_cert *cert, int64_t when) {
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_TIME *time = ASN1_TIME_set_posix(NULL, when);
    must(entry != NULL && time != NULL &&
         X509_REVOKED_set_serialNumber(entry, X509_get0_serialNumber(pki_x509(cert))) &&
         X509_REVOKED_set_revocationDate(entry, time) && X509_CRL_add0_revoked(crl, entry));
    ASN1_TIME_free(time);
}

struct pki_bytes *pki_crl(const struct pki_cert *issuer, const struct pki_cert *revoked,
                          int64_t this_update, int64_t next_update) {
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *from = ASN1_TIME_set_posix(NULL, this_update);
    ASN1_TIME *until = ASN1_TIME_set_posix(NULL, next_update);
    must(crl != NULL && from != NULL && until != NULL &&
         X509_CRL_set_version(crl, X509_CRL_VERSION_2) &&
         X509_CRL_set_issuer_name(crl, X509_get_subject_name(pki_x509(issuer))) &&
         X509_CRL_set1_lastUpdate(crl, from) && X509_CRL_set1_nextUpdate(crl, until));
    if (revoked != NULL) {
        revoke(crl, revoked, this_update);
    }
    must(X509_CRL_sign(crl, pki_key(issuer), EVP_sha256()) > 0);
    uint8_t *der = NULL;
    int len = i2d_X509_CRL(crl, &der);
    must(len > 0);
    struct pki_bytes *bytes = malloc(sizeof *bytes + (size_t)len);
    must(bytes != NULL);
    bytes->len = (size_t)len;
    memcpy(bytes->ptr, der, (size_t)len);
    OPENSSL_free(der);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    X509_CRL_free(crl);
    return bytes;
}
