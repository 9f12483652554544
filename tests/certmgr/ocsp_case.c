#include "tests/certmgr/ocsp_case.h"

#include "base/check.h"

static X509 *take_certificate(struct span *rest) {
    struct span der;
    if (rest->len == 0 || !x509_der_next(rest, &der, NULL)) {
        return NULL;
    }
    CRYPTO_BUFFER *buffer OWNED(CRYPTO_BUFFER_free) = CRYPTO_BUFFER_new(der.ptr, der.len, NULL);
    CHECK(buffer != NULL);
    return x509_der_parse(buffer, NULL);
}

bool ocsp_case_parse(struct ocsp_case *made, struct span bytes) {
    *made = (struct ocsp_case){.response = bytes};
    made->leaf = take_certificate(&made->response);
    made->issuer = made->leaf == NULL ? NULL : take_certificate(&made->response);
    return made->issuer != NULL;
}

void ocsp_case_fini(struct ocsp_case *made) {
    X509_free(made->leaf);
    X509_free(made->issuer);
}
