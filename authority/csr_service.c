#include "authority/csr_service.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/own.h"
#include "certmgr/csr.h"
#include "certmgr/istio_ca_codec.h"

#define BEARER "Bearer "

OWN_DEFINE(EVP_PKEY, EVP_PKEY_free)

struct csr_service {
    const struct ca *ca;
    struct tokens *tokens;
    int64_t ttl_ms;
    struct csr_observer observer;
    struct rpc_handler handler;
};

// The identity of a caller; NULL when its token is none of ours.
static const char *identity_of(const struct csr_service *service, const struct rpc_stream *stream) {
    const size_t len = sizeof(BEARER) - 1;
    struct span value;
    if (!rpc_stream_metadata(stream, "authorization", &value) || value.len <= len ||
        !span_equal_text(span_of(value.ptr, len), BEARER)) {
        return NULL;
    }
    return tokens_find(service->tokens, span_after(value, len));
}

static void report(const struct csr_service *service, enum csr_event_kind kind,
                   const char *spiffe_id, const char *reason) {
    const struct csr_event event = {.kind = kind, .spiffe_id = spiffe_id, .reason = reason};
    service->observer.event(service->observer.arg, &event);
}

static struct rpc_refusal on_admit(void *arg, const struct rpc_stream *stream) {
    const struct csr_service *service = arg;
    struct rpc_refusal refusal = {GRPC_CODE_OK, ""};
    if (!span_equal_text(rpc_stream_method(stream), ISTIO_CA_METHOD)) {
        refusal = (struct rpc_refusal){GRPC_CODE_UNIMPLEMENTED, "this server has no such method"};
    } else if (identity_of(service, stream) == NULL) {
        // Why, the caller is not told: it could learn something about the tokens.
        refusal = (struct rpc_refusal){GRPC_CODE_UNAUTHENTICATED, "request authenticate failure"};
    }
    if (refusal.code != GRPC_CODE_OK) {
        report(service, CSR_REFUSED, NULL, refusal.reason);
    }
    return refusal;
}

// Unix seconds: what was asked for, but at least a second and at most what this authority gives.
static int64_t end_of(const struct csr_service *service, int64_t validity_s, int64_t now_ms) {
    int64_t most_s = (now_ms + service->ttl_ms + 999) / 1000;
    int64_t now_s = now_ms / 1000;
    bool is_less = validity_s > 0 && validity_s < most_s - now_s;
    return is_less ? now_s + validity_s : most_s;
}

static bool render(const struct csr_service *service, const struct ca_leaf *leaf, struct buf *out,
                   struct err *err) {
    struct buf roots __attribute__((cleanup(buf_fini))) = {0};
    return ca_bundle(service->ca, &roots, err) &&
           istio_ca_codec_encode_response(buf_span(&leaf->chain), buf_span(&roots), out, err);
}

static bool sign(const struct csr_service *service, struct rpc_stream *stream,
                 const struct istio_ca_request *request, const char *spiffe_id, struct err *err) {
    struct ca_leaf leaf __attribute__((cleanup(ca_leaf_fini))) = {0};
    struct buf answer __attribute__((cleanup(buf_fini))) = {0};
    int64_t now_ms = clock_wall_ms();
    OWNED(EVP_PKEY_free) EVP_PKEY *key = csr_open(buf_span(&request->csr_pem), err);
    const struct ca_subject subject = {.spiffe_id = spiffe_id, .public_key = key};
    const struct ca_period period = {.now = now_ms / 1000,
                                     .not_after = end_of(service, request->validity_s, now_ms)};
    if (key == NULL || !ca_issue(service->ca, subject, period, &leaf, err) ||
        !render(service, &leaf, &answer, err)) {
        return false;
    }
    rpc_stream_send(stream, buf_span(&answer));
    rpc_stream_finish(stream, GRPC_CODE_OK, "");
    const struct csr_event event = {.kind = CSR_SIGNED,
                                    .spiffe_id = spiffe_id,
                                    .serial = leaf.serial,
                                    .not_after = leaf.not_after};
    service->observer.event(service->observer.arg, &event);
    return true;
}

static bool read_request(struct rpc_stream *stream, struct istio_ca_request *out, struct err *err) {
    struct buf message __attribute__((cleanup(buf_fini))) = {0};
    if (!rpc_stream_request(stream, &message)) {
        return ERR_NO_MEMORY(err, "reading a request");
    }
    return istio_ca_codec_decode_request(buf_span(&message), out, err);
}

// The status carries static text: what exactly is wrong with a CSR goes to the observer.
static void on_opened(void *arg, struct rpc_stream *stream) {
    const struct csr_service *service = arg;
    const char *spiffe_id = identity_of(service, stream);
    struct istio_ca_request request = {0};
    struct err err = {0};
    if (spiffe_id == NULL) { // the tokens were replaced while the message came
        rpc_stream_finish(stream, GRPC_CODE_UNAUTHENTICATED, "request authenticate failure");
        return;
    }
    if (!read_request(stream, &request, &err) ||
        !sign(service, stream, &request, spiffe_id, &err)) {
        bool is_theirs = err.class == ERR_INPUT;
        report(service, is_theirs ? CSR_REFUSED : CSR_FAILED, spiffe_id, err.msg);
        rpc_stream_finish(stream, is_theirs ? GRPC_CODE_INVALID_ARGUMENT : GRPC_CODE_UNAVAILABLE,
                          is_theirs ? "the CSR must be PEM, signed by its own key, and that P-256, "
                                      "P-384 or RSA of 2048 to 4096 bits"
                                    : "no certificate could be made; try again");
    }
    buf_fini(&request.csr_pem);
}

static void on_closed(void *arg UNUSED, struct rpc_stream *stream UNUSED) {
}

struct csr_service *csr_service_new(const struct ca *ca, struct tokens *tokens, int64_t ttl_ms,
                                    struct csr_observer observer, struct err *err) {
    struct csr_service *service = calloc(1, sizeof(*service));
    if (service == NULL) {
        tokens_free(tokens);
        ERR_NO_MEMORY(err, "starting the service");
        return NULL;
    }
    service->ca = ca;
    service->tokens = tokens;
    service->ttl_ms = ttl_ms;
    service->observer = observer;
    service->handler = (struct rpc_handler){
        .admit = on_admit, .opened = on_opened, .closed = on_closed, .arg = service};
    return service;
}

void csr_service_free(struct csr_service *service) {
    if (service != NULL) {
        tokens_free(service->tokens);
        free(service);
    }
}

const struct rpc_handler *csr_service_handler(const struct csr_service *service) {
    return &service->handler;
}

void csr_service_set_tokens(struct csr_service *service, struct tokens *tokens) {
    tokens_free(service->tokens);
    service->tokens = tokens;
}
