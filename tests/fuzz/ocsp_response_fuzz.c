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
#include "tests/certmgr/ocsp_case.h"
#include "tests/fuzz/fuzz_target.h"

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

static void read_response(const struct ocsp_case *made) {
    struct ocsp_response response;
    struct err err = {0};
    bool ok = ocsp_response_read(made->response, made->leaf, made->issuer, &response, &err);
    CHECK(ok == (err.msg[0] == '\0'));
    CHECK(!ok || response.status <= OCSP_UNKNOWN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ocsp_case made;
    if (ocsp_case_parse(&made, span_of(data, size))) {
        ask(made.leaf, made.issuer);
        read_response(&made);
    }
    ocsp_case_fini(&made);
    return 0;
}
