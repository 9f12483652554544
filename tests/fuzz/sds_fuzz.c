// SDS responses: what is good is complete, can be answered, and what the client keeps of it gives
// an update or a sentence. Responses that name files or variables are decoded only.

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "base/span.h"
#include "certmgr/sds_codec.h"
#include "certmgr/sds_state.h"
#include "certmgr/update.h"
#include "tests/fuzz/fuzz_target.h"

static bool is_inline(const struct sds_data *data) {
    return data->kind == SDS_DATA_NONE || data->kind == SDS_DATA_INLINE;
}

// The secret is as the codec promises; true when it needs nothing from outside.
static bool secret_check(const struct sds_secret *secret) {
    bool inside = is_inline(&secret->chain) && is_inline(&secret->key) &&
                  is_inline(&secret->trusted_ca) && is_inline(&secret->crl);
    CHECK(secret->kind != SDS_SECRET_CERTIFICATE ||
          (secret->chain.value.len > 0 && secret->key.value.len > 0));
    CHECK(secret->kind != SDS_SECRET_BUNDLE ||
          (secret->num_domains > 0) != (secret->trusted_ca.kind != SDS_DATA_NONE));
    for (size_t i = 0; i < secret->num_domains; i++) {
        CHECK(secret->domains[i].bundle.value.len > 0);
        inside = inside && is_inline(&secret->domains[i].bundle);
    }
    return inside;
}

static void answer_check(const struct sds_response *response, const char *refusal) {
    struct sds_request request = {.version = update_bytes_span(&response->version),
                                  .nonce = update_bytes_span(&response->nonce),
                                  .names = {"default", "ROOTCA"},
                                  .refusal = refusal};
    struct err err;
    struct buf wire = {0};
    CHECK(sds_encode_request(&request, &wire, &err));
    buf_fini(&wire);
}

static void state_check(struct sds_response *response) {
    struct sds_state *state OWNED(sds_state_free) = sds_state_new("default", "ROOTCA");
    CHECK(state != NULL);
    struct err err = {0};
    if (!sds_state_apply(state, response, &err)) {
        CHECK(err.msg[0] != '\0' && !sds_state_is_complete(state));
        return;
    }
    CHECK(!sds_state_has_files(state) && !sds_state_reload(state));
    struct update *update OWNED(update_free) = sds_state_update(state, &err);
    CHECK(update != NULL || err.msg[0] != '\0');
    CHECK(update == NULL || (sds_state_is_complete(state) && update->num_svids == 1 &&
                             update->svids[0].bundle.len > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct err err = {0};
    struct sds_response *response OWNED(sds_response_free) =
        sds_decode_response(span_of(data, size), &err);
    if (response == NULL) {
        CHECK(err.msg[0] != '\0');
        return 0;
    }
    CHECK(response->is_good || response->refusal.msg[0] != '\0');
    answer_check(response, response->is_good ? NULL : response->refusal.msg);
    bool inside = true;
    for (size_t i = 0; response->is_good && i < response->num_secrets; i++) {
        inside = secret_check(response->secrets[i]) && inside;
    }
    if (inside) {
        state_check(response);
    }
    return 0;
}
