// OCSP responses from arbitrary bytes, the request that they answer, and the responder's URL in the
// certificate. Input: a certificate, its issuer, a response, one after the other in DER.
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "base/span.h"
#include "certmgr/ocsp_request.h"
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

static void ask(X509 *leaf, X509 *issuer) {
    struct buf request = {0};
    struct err err = {0};
    char *url = ocsp_request_responder(leaf);
    CHECK(url == NULL || strncmp(url, "http://", 7) == 0);
    free(url);
    bool ok = ocsp_request_render(leaf, issuer, &request, &err);
    CHECK(ok == (request.len > 0) && ok == (err.msg[0] == '\0'));
    buf_fini(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span rest = span_of(data, size);
    X509 *leaf OWNED(X509_free) = take_certificate(&rest);
    X509 *issuer OWNED(X509_free) = leaf == NULL ? NULL : take_certificate(&rest);
    if (issuer == NULL) {
        return 0;
    }
    ask(leaf, issuer);
    struct ocsp_response response;
    struct err err = {0};
    bool ok = ocsp_response_read(rest, leaf, issuer, &response, &err);
    CHECK(ok == (err.msg[0] == '\0'));
    CHECK(!ok || response.status <= OCSP_UNKNOWN);
    return 0;
}
