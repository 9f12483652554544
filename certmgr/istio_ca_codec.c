#include "certmgr/istio_ca_codec.h"

#include <stdio.h>

#include "certmgr/pem.h"
#include "certmgr/proto_budget.h"
#include "certmgr/x509_der.h"
#include "proto/istio_ca.pb-c.h"

static bool check_size(struct span message, size_t max, const char *what, struct err *err) {
    if (message.len > max) {
        return ERR_SET(err, ERR_INPUT, "%s has %zu bytes, more than %zu", what, message.len, max);
    }
    return true;
}

static bool pack(const ProtobufCMessage *message, struct buf *out, struct err *err) {
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *to = buf_reserve(out, len);
    if (to == NULL) {
        return ERR_NO_MEMORY(err, "encoding a message");
    }
    buf_commit(out, protobuf_c_message_pack(message, to));
    return true;
}

// --- the request

bool istio_ca_codec_encode_request(struct span csr_der, int64_t validity_s, struct buf *out,
                                   struct err *err) {
    struct buf pem __attribute__((cleanup(buf_fini))) = {0};
    if (!pem_render("CERTIFICATE REQUEST", csr_der, &pem)) {
        return ERR_NO_MEMORY(err, "writing a certificate request");
    }
    IstioCertificateRequest message = ISTIO_CERTIFICATE_REQUEST__INIT;
    message.csr = (ProtobufCBinaryData){.data = pem.mem + pem.start, .len = pem.len};
    message.validity_duration = validity_s;
    return pack(&message.base, out, err);
}

static bool copy_request(const IstioCertificateRequest *in, struct istio_ca_request *out,
                         struct err *err) {
    if (in->csr.len == 0) {
        return ERR_SET(err, ERR_INPUT, "the request has no csr");
    }
    if (!buf_append(&out->csr_pem, in->csr.data, in->csr.len)) {
        return ERR_NO_MEMORY(err, "reading a certificate request");
    }
    out->validity_s = in->validity_duration;
    return true;
}

bool istio_ca_codec_decode_request(struct span message, struct istio_ca_request *out,
                                   struct err *err) {
    if (!check_size(message, ISTIO_CA_REQUEST_MAX, "the request", err)) {
        return false;
    }
    struct proto_budget budget = {.left = PROTO_BUDGET_FOR(message.len)};
    ProtobufCAllocator allocator = PROTO_BUDGET_ALLOCATOR(&budget);
    IstioCertificateRequest *in =
        istio_certificate_request__unpack(&allocator, message.len, message.ptr);
    if (in == NULL) {
        return ERR_SET(err, ERR_INPUT, "the request is not a valid IstioCertificateRequest");
    }
    bool ok = copy_request(in, out, err);
    istio_certificate_request__free_unpacked(in, &allocator);
    return ok;
}

// --- the response

// PEM of up to ISTIO_CA_PARTS_MAX entries while they are packed.
struct parts {
    struct buf pem[ISTIO_CA_PARTS_MAX];
    ProtobufCBinaryData data[ISTIO_CA_PARTS_MAX];
    size_t num;
};

static void parts_fini(struct parts *parts) {
    for (size_t i = 0; i < ISTIO_CA_PARTS_MAX; i++) {
        buf_fini(&parts->pem[i]);
    }
}

// Renders each certificate of `der`: into one entry each, or all into one.
static bool parts_add(struct parts *parts, struct span der, bool together, struct err *err) {
    struct span cert;
    bool is_first = true;
    while (der.len > 0) {
        if (!x509_der_next(&der, &cert, err)) {
            return false;
        }
        parts->num += is_first || !together ? 1 : 0;
        is_first = false;
        if (parts->num > ISTIO_CA_PARTS_MAX) {
            return ERR_SET(err, ERR_INPUT, "the chain has more than %d certificates",
                           ISTIO_CA_PARTS_MAX - 1);
        }
        if (!pem_render("CERTIFICATE", cert, &parts->pem[parts->num - 1])) {
            return ERR_NO_MEMORY(err, "writing a certificate chain");
        }
    }
    return true;
}

bool istio_ca_codec_encode_response(struct span chain_der, struct span roots_der, struct buf *out,
                                    struct err *err) {
    struct parts parts __attribute__((cleanup(parts_fini))) = {0};
    if (!parts_add(&parts, chain_der, false, err) || !parts_add(&parts, roots_der, true, err)) {
        return false;
    }
    for (size_t i = 0; i < parts.num; i++) {
        struct buf *pem = &parts.pem[i];
        parts.data[i] = (ProtobufCBinaryData){.data = pem->mem + pem->start, .len = pem->len};
    }
    IstioCertificateResponse message = ISTIO_CERTIFICATE_RESPONSE__INIT;
    message.n_cert_chain = parts.num;
    message.cert_chain = parts.data;
    return pack(&message.base, out, err);
}

static bool parse_part(const ProtobufCBinaryData *part, const char *what, size_t index,
                       struct buf *out, struct err *err) {
    char name[64];
    snprintf(name, sizeof(name), "%s (entry %zu of cert_chain)", what, index + 1);
    return pem_parse_certificates(span_of(part->data, part->len), name, out, err);
}

static bool parse_parts(const IstioCertificateResponse *in, struct buf *chain, struct buf *roots,
                        struct err *err) {
    size_t num = in->n_cert_chain;
    if (num < 2 || num > ISTIO_CA_PARTS_MAX) {
        return ERR_SET(err, ERR_INPUT,
                       "cert_chain has %zu entries; there must be 2 to %d: the certificate first, "
                       "the roots last",
                       num, ISTIO_CA_PARTS_MAX);
    }
    for (size_t i = 0; i < num - 1; i++) {
        const char *what = i == 0 ? "the certificate" : "an intermediate";
        if (!parse_part(&in->cert_chain[i], what, i, chain, err)) {
            return false;
        }
    }
    return parse_part(&in->cert_chain[num - 1], "the roots", num - 1, roots, err);
}

static bool append_both(struct buf *chain_out, const struct buf *chain, struct buf *roots_out,
                        const struct buf *roots, struct err *err) {
    // Reserved first, so that neither is changed when memory is short.
    if (buf_reserve(chain_out, chain->len) == NULL ||
        !buf_append(roots_out, buf_span(roots).ptr, roots->len) ||
        !buf_append(chain_out, buf_span(chain).ptr, chain->len)) {
        return ERR_NO_MEMORY(err, "reading a certificate chain");
    }
    return true;
}

bool istio_ca_codec_decode_response(struct span message, struct buf *chain_der,
                                    struct buf *roots_der, struct err *err) {
    if (!check_size(message, ISTIO_CA_RESPONSE_MAX, "the answer", err)) {
        return false;
    }
    struct proto_budget budget = {.left = PROTO_BUDGET_FOR(message.len)};
    ProtobufCAllocator allocator = PROTO_BUDGET_ALLOCATOR(&budget);
    IstioCertificateResponse *in =
        istio_certificate_response__unpack(&allocator, message.len, message.ptr);
    if (in == NULL) {
        return ERR_SET(err, ERR_INPUT,
                       "the answer is not a valid IstioCertificateResponse, or needs too much "
                       "memory");
    }
    struct buf chain __attribute__((cleanup(buf_fini))) = {0};
    struct buf roots __attribute__((cleanup(buf_fini))) = {0};
    bool ok = parse_parts(in, &chain, &roots, err) &&
              append_both(chain_der, &chain, roots_der, &roots, err);
    istio_certificate_response__free_unpacked(in, &allocator);
    return ok;
}
