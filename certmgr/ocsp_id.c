#include "certmgr/ocsp_id.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "certmgr/x509_der.h"

bool ocsp_id_of(const EVP_MD *md, X509 *leaf, X509 *issuer, struct ocsp_id *out) {
    unsigned name_len = 0, key_len = 0;
    const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(issuer);
    bool ok = X509_NAME_digest(X509_get_issuer_name(leaf), md, out->name, &name_len) &&
              EVP_Digest(ASN1_STRING_get0_data(bits), (size_t)ASN1_STRING_length(bits), out->key,
                         &key_len, md, NULL);
    out->len = key_len;
    return ok;
}

bool ocsp_id_is_issuer(X509 *leaf, X509 *issuer) {
    EVP_PKEY *key OWNED(EVP_PKEY_free) = X509_get_pubkey(issuer);
    bool ok = key != NULL &&
              X509_NAME_cmp(X509_get_issuer_name(leaf), X509_get_subject_name(issuer)) == 0 &&
              X509_verify(leaf, key) == 1;
    ERR_clear_error();
    return ok;
}
