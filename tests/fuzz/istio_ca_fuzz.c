// A CA's answer, and a caller's request: what opens is complete and goes around; the rest is an
// error that says so. The first byte chooses: an answer to a fixed key, or a request with its CSR.

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "base/span.h"
#include "certmgr/csr.h"
#include "certmgr/istio_ca_codec.h"
#include "certmgr/istio_ca_reply.h"
#include "certmgr/update.h"
#include "tests/fuzz/fuzz_target.h"

#define NOW 1800000000

static void answer_check(struct span message) {
    struct buf chain = {0};
    struct buf roots = {0};
    struct buf again = {0};
    struct err err = {0};
    if (!istio_ca_codec_decode_response(message, &chain, &roots, &err)) {
        CHECK(chain.len == 0 && roots.len == 0 && err.class != ERR_NONE);
        return;
    }
    CHECK(chain.len > 0 && roots.len > 0);
    if (istio_ca_codec_encode_response(buf_span(&chain), buf_span(&roots), &again, &err)) {
        struct buf chain_again = {0};
        struct buf roots_again = {0};
        CHECK(istio_ca_codec_decode_response(buf_span(&again), &chain_again, &roots_again, &err));
        CHECK(span_equal(buf_span(&chain), buf_span(&chain_again)));
        CHECK(span_equal(buf_span(&roots), buf_span(&roots_again)));
        buf_fini(&chain_again);
        buf_fini(&roots_again);
    }
    const struct istio_ca_question question = {.key_der = span_of_text("no key")};
    struct istio_ca_validity validity;
    CHECK(istio_ca_reply_open(message, &question, NOW, &validity, &err) == NULL);
    buf_fini(&again);
    buf_fini(&chain);
    buf_fini(&roots);
}

static void request_check(struct span message) {
    struct istio_ca_request request = {0};
    struct err err = {0};
    if (istio_ca_codec_decode_request(message, &request, &err)) {
        CHECK(request.csr_pem.len > 0);
        EVP_PKEY *key = csr_open(buf_span(&request.csr_pem), &err);
        CHECK(key != NULL || err.class == ERR_INPUT);
        EVP_PKEY_free(key);
    }
    buf_fini(&request.csr_pem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    struct span rest = span_of(data + 1, size - 1);
    if (data[0] == 'r') {
        request_check(rest);
    } else {
        answer_check(rest);
    }
    return 0;
}
