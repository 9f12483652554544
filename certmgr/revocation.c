#include "certmgr/revocation.h"

#include <stdbool.h>

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "base/own.h"
#include "certmgr/x509_der.h"

static bool is_current(const X509_CRL *crl, int64_t now) {
    int64_t this_update = 0;
    int64_t next_update = 0;
    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
    return ASN1_TIME_to_posix(X509_CRL_get0_lastUpdate(crl), &this_update) && this_update <= now &&
           (next == NULL || (ASN1_TIME_to_posix(next, &next_update) && now < next_update));
}

static bool is_signed_by(X509_CRL *crl, X509 *issuer) {
    if ((X509_get_key_usage(issuer) & X509v3_KU_CRL_SIGN) == 0) { // all ones without keyUsage
        return false;
    }
    EVP_PKEY *key OWNED(EVP_PKEY_free) = X509_get_pubkey(issuer);
    return key != NULL && X509_CRL_verify(crl, key) == 1;
}

static enum revocation_verdict check_one(const STACK_OF(X509_CRL) * crls, X509 *cert, X509 *issuer,
                                         int64_t now) {
    bool any = false;
    bool any_current = false;
    for (size_t i = 0; i < sk_X509_CRL_num(crls); i++) {
        X509_CRL *crl = sk_X509_CRL_value(crls, i);
        if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_issuer_name(cert)) != 0 ||
            !is_signed_by(crl, issuer)) {
            continue;
        }
        X509_REVOKED *entry = NULL;
        if (X509_CRL_get0_by_cert(crl, &entry, cert) != 0) {
            return REVOCATION_REVOKED;
        }
        any = true;
        any_current = any_current || is_current(crl, now);
    }
    return any && !any_current ? REVOCATION_STALE : REVOCATION_GOOD;
}

enum revocation_verdict revocation_check(const STACK_OF(X509_CRL) * crls,
                                         const STACK_OF(X509) * chain, int64_t now) {
    for (size_t i = 0; i + 1 < sk_X509_num(chain); i++) {
        enum revocation_verdict verdict =
            check_one(crls, sk_X509_value(chain, i), sk_X509_value(chain, i + 1), now);
        if (verdict != REVOCATION_GOOD) {
            return verdict;
        }
    }
    return REVOCATION_GOOD;
}

int64_t revocation_next_end(const STACK_OF(X509_CRL) * crls, int64_t now) {
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < sk_X509_CRL_num(crls); i++) {
        const ASN1_TIME *next = X509_CRL_get0_nextUpdate(sk_X509_CRL_value(crls, i));
        int64_t end = 0;
        if (next != NULL && ASN1_TIME_to_posix(next, &end) && end > now && end < first) {
            first = end;
        }
    }
    return first;
}
