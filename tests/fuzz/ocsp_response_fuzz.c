// OCSP responses from arbitrary bytes. Input: a certificate, its issuer, a response, one after the
// other in DER.
#include "base/check.h"
#include "base/err.h"
#include "base/span.h"
#include "certmgr/ocsp_response.h"
#include "certmgr/x509_der.h"
#include "tests/fuzz/fuzz_target.h"

static X509 *take_certificate(struct span *rest) {
    struct span der;
    if (rest->len == 0 || !x509_der_next(rest, &der, NULL)) {
        return NULL;
    }
    CRYPTO_BUFFER *buffer OWNED(CRYPTO_BUFFER_free) = CRYPTO_BUFFER_new(der.ptr, der.len, NULL);
    CHECK(buffer != NULL);
    return x509_der_parse(buffer, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span rest = span_of(data, size);
    X509 *leaf OWNED(X509_free) = take_certificate(&rest);
    X509 *issuer OWNED(X509_free) = leaf == NULL ? NULL : take_certificate(&rest);
    if (issuer == NULL) {
        return 0;
    }
    struct ocsp_response response;
    struct err err = {0};
    bool ok = ocsp_response_read(rest, leaf, issuer, &response, &err);
    CHECK(ok == (err.msg[0] == '\0'));
    CHECK(!ok || response.status <= OCSP_UNKNOWN);
    return 0;
}
