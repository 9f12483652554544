// Whatever a file may hold: certificates, CRLs and a key, in PEM or DER. What is taken renders to
// PEM that is taken again as the same bytes.
#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "base/span.h"
#include "certmgr/pem.h"
#include "certmgr/x509_der.h"
#include "tests/fuzz/fuzz_target.h"

typedef bool parse_fn(struct span input, const char *name, struct buf *out, struct err *err);

static void render_all(struct span der, const char *label, struct buf *out) {
    while (der.len > 0) {
        struct span element;
        CHECK(x509_der_next(&der, &element, NULL) && pem_render(label, element, out));
    }
}

static void feed(parse_fn *parse, const char *label, struct span input) {
    struct buf der = {0};
    struct err err = {0};
    bool taken = parse(input, "input", &der, &err);
    CHECK(taken == (err.msg[0] == '\0') && taken == (der.len > 0));
    if (taken) {
        struct buf pem = {0};
        struct buf again = {0};
        render_all(buf_span(&der), label, &pem);
        // Base64 is a third longer: near the limit it does not fit any more.
        if (pem.len <= PEM_INPUT_MAX) {
            CHECK(parse(buf_span(&pem), "its own output", &again, &err));
            CHECK(span_equal(buf_span(&der), buf_span(&again)));
        }
        buf_fini(&pem);
        buf_fini(&again);
    }
    buf_clear_secret(&der);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span input = span_of(data, size);
    feed(pem_parse_certificates, "CERTIFICATE", input);
    feed(pem_parse_crls, "X509 CRL", input);
    feed(pem_parse_key, "PRIVATE KEY", input);
    return 0;
}
