// Decoding is unpack, check, copy: protobuf-c works inside a budget and its memory, which has held
// a private key, is wiped as it is given back; what the update keeps are plain copies.
#include "certmgr/workload_codec.h"

#include <stdlib.h>

#include "certmgr/proto_budget.h"
#include "proto/workload.pb-c.h"

#define TRUST_DOMAIN_ID_MAX 2048 // bytes of a map's key; longer than any SPIFFE ID is no ID

// --- decoding ---

static bool bytes_copy(struct update_bytes *out, const ProtobufCBinaryData *in, struct err *err) {
    if (!update_bytes_set(out, span_of(in->data, in->len))) {
        return ERR_NO_MEMORY(err, "copying a Workload API message");
    }
    return true;
}

static bool data_equal(const ProtobufCBinaryData *a, const ProtobufCBinaryData *b) {
    return span_equal(span_of(a->data, a->len), span_of(b->data, b->len));
}

static bool svid_is_complete(const X509SVID *svid, size_t index, struct err *err) {
    const char *missing = svid->spiffe_id.len == 0       ? "spiffe_id"
                          : svid->x509_svid.len == 0     ? "x509_svid"
                          : svid->x509_svid_key.len == 0 ? "x509_svid_key"
                          : svid->bundle.len == 0        ? "bundle"
                                                         : NULL;
    if (missing == NULL) {
        return true;
    }
    return ERR_SET(err, ERR_INPUT, "SVID %zu of the Workload API message has no %s", index + 1,
                   missing);
}

// A hint is unique within a response; the first one wins.
static bool svid_repeats_hint(X509SVID *const *svids, size_t index) {
    const ProtobufCBinaryData *hint = &svids[index]->hint;
    for (size_t i = 0; i < index && hint->len > 0; i++) {
        if (data_equal(&svids[i]->hint, hint)) {
            return true;
        }
    }
    return false;
}

static bool svid_copy(struct update_svid *out, const X509SVID *in, struct err *err) {
    return bytes_copy(&out->spiffe_id, &in->spiffe_id, err) &&
           bytes_copy(&out->chain, &in->x509_svid, err) &&
           bytes_copy(&out->key, &in->x509_svid_key, err) &&
           bytes_copy(&out->bundle, &in->bundle, err) && bytes_copy(&out->hint, &in->hint, err);
}

static bool svids_copy(struct update *out, const X509SVIDResponse *in, struct err *err) {
    size_t num = 0;
    for (size_t i = 0; i < in->n_svids; i++) {
        if (!svid_is_complete(in->svids[i], i, err)) {
            return false;
        }
        if (svid_repeats_hint(in->svids, i)) {
            continue;
        }
        if (!svid_copy(&out->svids[num], in->svids[i], err)) {
            return false;
        }
        num++;
    }
    out->num_svids = num;
    return true;
}

// A map's last entry for a key wins (the protobuf encoding rules); protobuf-c hands over all.
static bool bundle_is_replaced(FederatedBundle *const *bundles, size_t num, size_t index) {
    for (size_t i = index + 1; i < num; i++) {
        if (data_equal(&bundles[i]->trust_domain_id, &bundles[index]->trust_domain_id)) {
            return true;
        }
    }
    return false;
}

static bool bundles_check(FederatedBundle *const *bundles, size_t num, struct err *err) {
    for (size_t i = 0; i < num; i++) {
        size_t len = bundles[i]->trust_domain_id.len;
        if (len == 0 || len > TRUST_DOMAIN_ID_MAX) {
            return ERR_SET(err, ERR_INPUT,
                           "bundle %zu of the Workload API message has a trust domain of %zu bytes",
                           i + 1, len);
        }
    }
    return true;
}

static bool bundles_copy(struct update *out, FederatedBundle *const *bundles, size_t num,
                         struct err *err) {
    if (!bundles_check(bundles, num, err)) {
        return false;
    }
    size_t kept = 0;
    for (size_t i = 0; i < num; i++) {
        const FederatedBundle *in = bundles[i];
        if (in->bundle.len == 0 || bundle_is_replaced(bundles, num, i)) {
            continue;
        }
        struct update_bundle *to = &out->federated[kept];
        if (!bytes_copy(&to->trust_domain_id, &in->trust_domain_id, err) ||
            !bytes_copy(&to->der, &in->bundle, err)) {
            return false;
        }
        kept++;
    }
    out->num_federated = kept;
    return true;
}

static bool crls_copy(struct update *out, const ProtobufCBinaryData *crls, size_t num,
                      struct err *err) {
    for (size_t i = 0; i < num; i++) {
        if (crls[i].len == 0) {
            return ERR_SET(err, ERR_INPUT, "CRL %zu of the Workload API message is empty", i + 1);
        }
        if (!bytes_copy(&out->crls[i], &crls[i], err)) {
            return false;
        }
    }
    return true;
}

static bool count_check(size_t num, size_t max, const char *what, struct err *err) {
    if (num > max) {
        return ERR_SET(err, ERR_INPUT, "the Workload API message has %zu %s, more than %zu", num,
                       what, max);
    }
    return true;
}

static bool size_check(size_t len, struct err *err) {
    if (len > WORKLOAD_MESSAGE_MAX) {
        return ERR_SET(err, ERR_INPUT, "the Workload API message has %zu bytes, more than %d", len,
                       WORKLOAD_MESSAGE_MAX);
    }
    return true;
}

// NULL from protobuf-c has two reasons that it does not tell apart.
static bool unpack_failed(const char *type, struct err *err) {
    return ERR_SET(err, ERR_INPUT, "the message is not a valid %s, or needs too much memory", type);
}

static struct update *svids_build(const X509SVIDResponse *in, struct err *err) {
    if (!count_check(in->n_svids, WORKLOAD_SVIDS_MAX, "SVIDs", err) ||
        !count_check(in->n_federated_bundles, WORKLOAD_BUNDLES_MAX, "federated bundles", err) ||
        !count_check(in->n_crl, WORKLOAD_CRLS_MAX, "CRLs", err)) {
        return NULL;
    }
    bool withdrawn = in->n_svids == 0;
    struct update *out OWNED(update_free) =
        update_new(in->n_svids, withdrawn ? 0 : in->n_federated_bundles, withdrawn ? 0 : in->n_crl);
    if (out == NULL) {
        ERR_NO_MEMORY(err, "decoding a Workload API message");
        return NULL;
    }
    out->withdrawn = withdrawn;
    if (withdrawn) {
        return take(&out);
    }
    if (!svids_copy(out, in, err) ||
        !bundles_copy(out, in->federated_bundles, in->n_federated_bundles, err) ||
        !crls_copy(out, in->crl, in->n_crl, err)) {
        return NULL;
    }
    return take(&out);
}

struct update *workload_decode_svids(struct span message, struct err *err) {
    if (!size_check(message.len, err)) {
        return NULL;
    }
    struct proto_budget budget = {.left = WORKLOAD_DECODE_BUDGET(message.len)};
    ProtobufCAllocator allocator = PROTO_BUDGET_ALLOCATOR(&budget);
    X509SVIDResponse *in = x509_svidresponse__unpack(&allocator, message.len, message.ptr);
    if (in == NULL) {
        unpack_failed("X509SVIDResponse", err);
        return NULL;
    }
    struct update *out = svids_build(in, err);
    x509_svidresponse__free_unpacked(in, &allocator);
    return out;
}

static struct update *bundles_build(const X509BundlesResponse *in, struct err *err) {
    if (!count_check(in->n_bundles, WORKLOAD_BUNDLES_MAX, "bundles", err) ||
        !count_check(in->n_crl, WORKLOAD_CRLS_MAX, "CRLs", err)) {
        return NULL;
    }
    struct update *out OWNED(update_free) = update_new(0, in->n_bundles, in->n_crl);
    if (out == NULL) {
        ERR_NO_MEMORY(err, "decoding a Workload API message");
        return NULL;
    }
    if (!bundles_copy(out, in->bundles, in->n_bundles, err) ||
        !crls_copy(out, in->crl, in->n_crl, err)) {
        return NULL;
    }
    return take(&out);
}

struct update *workload_decode_bundles(struct span message, struct err *err) {
    if (!size_check(message.len, err)) {
        return NULL;
    }
    struct proto_budget budget = {.left = WORKLOAD_DECODE_BUDGET(message.len)};
    ProtobufCAllocator allocator = PROTO_BUDGET_ALLOCATOR(&budget);
    X509BundlesResponse *in = x509_bundles_response__unpack(&allocator, message.len, message.ptr);
    if (in == NULL) {
        unpack_failed("X509BundlesResponse", err);
        return NULL;
    }
    struct update *out = bundles_build(in, err);
    x509_bundles_response__free_unpacked(in, &allocator);
    return out;
}

// --- encoding: protobuf-c structs that borrow the update's bytes, then one pack ---

struct encoder {
    X509SVID *svids;
    X509SVID **svid_ptrs;
    FederatedBundle *bundles;
    FederatedBundle **bundle_ptrs;
    ProtobufCBinaryData *crls;
};

static void encoder_fini(struct encoder *enc) {
    free(enc->svids);
    free(enc->svid_ptrs);
    free(enc->bundles);
    free(enc->bundle_ptrs);
    free(enc->crls);
}

static bool encoder_init(struct encoder *enc, const struct update *update, struct err *err) {
    // One more of each, so that NULL always means that memory is short.
    *enc = (struct encoder){
        .svids = calloc(update->num_svids + 1, sizeof(*enc->svids)),
        .svid_ptrs = calloc(update->num_svids + 1, sizeof(*enc->svid_ptrs)),
        .bundles = calloc(update->num_federated + 1, sizeof(*enc->bundles)),
        .bundle_ptrs = calloc(update->num_federated + 1, sizeof(*enc->bundle_ptrs)),
        .crls = calloc(update->num_crls + 1, sizeof(*enc->crls)),
    };
    if (enc->svids == NULL || enc->svid_ptrs == NULL || enc->bundles == NULL ||
        enc->bundle_ptrs == NULL || enc->crls == NULL) {
        return ERR_NO_MEMORY(err, "encoding a Workload API message");
    }
    return true;
}

static ProtobufCBinaryData data_of(const struct update_bytes *bytes) {
    return (ProtobufCBinaryData){.data = bytes->ptr, .len = bytes->len};
}

static void encoder_fill(struct encoder *enc, const struct update *update) {
    for (size_t i = 0; i < update->num_svids; i++) {
        const struct update_svid *from = &update->svids[i];
        X509SVID *to = &enc->svids[i];
        x509_svid__init(to);
        to->spiffe_id = data_of(&from->spiffe_id);
        to->x509_svid = data_of(&from->chain);
        to->x509_svid_key = data_of(&from->key);
        to->bundle = data_of(&from->bundle);
        to->hint = data_of(&from->hint);
        enc->svid_ptrs[i] = to;
    }
    for (size_t i = 0; i < update->num_federated; i++) {
        FederatedBundle *to = &enc->bundles[i];
        federated_bundle__init(to);
        to->trust_domain_id = data_of(&update->federated[i].trust_domain_id);
        to->bundle = data_of(&update->federated[i].der);
        enc->bundle_ptrs[i] = to;
    }
    for (size_t i = 0; i < update->num_crls; i++) {
        enc->crls[i] = data_of(&update->crls[i]);
    }
}

static bool message_pack(const ProtobufCMessage *message, struct buf *out, struct err *err) {
    size_t len = protobuf_c_message_get_packed_size(message);
    if (!size_check(len, err)) {
        return false;
    }
    if (len == 0) {
        return true;
    }
    uint8_t *to = buf_reserve(out, len);
    if (to == NULL) {
        return ERR_NO_MEMORY(err, "encoding a Workload API message");
    }
    buf_commit(out, protobuf_c_message_pack(message, to));
    return true;
}

bool workload_encode_svids(const struct update *update, struct buf *out, struct err *err) {
    X509SVIDResponse message = X509_SVIDRESPONSE__INIT;
    if (update->withdrawn) {
        return true;
    }
    struct encoder enc;
    bool ok = encoder_init(&enc, update, err);
    if (ok) {
        encoder_fill(&enc, update);
        message.n_svids = update->num_svids;
        message.svids = enc.svid_ptrs;
        message.n_federated_bundles = update->num_federated;
        message.federated_bundles = enc.bundle_ptrs;
        message.n_crl = update->num_crls;
        message.crl = enc.crls;
        ok = message_pack(&message.base, out, err);
    }
    encoder_fini(&enc);
    return ok;
}

bool workload_encode_bundles(const struct update *update, struct buf *out, struct err *err) {
    X509BundlesResponse message = X509_BUNDLES_RESPONSE__INIT;
    struct encoder enc;
    bool ok = encoder_init(&enc, update, err);
    if (ok) {
        encoder_fill(&enc, update);
        message.n_bundles = update->num_federated;
        message.bundles = enc.bundle_ptrs;
        message.n_crl = update->num_crls;
        message.crl = enc.crls;
        ok = message_pack(&message.base, out, err);
    }
    encoder_fini(&enc);
    return ok;
}
