// Workload API messages: what decodes is complete, and encodes to a message that decodes to the
// same.

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "base/span.h"
#include "certmgr/update.h"
#include "certmgr/workload_codec.h"
#include "tests/fuzz/fuzz_target.h"

static void svids_check(struct span message) {
    struct err err;
    struct update *update OWNED(update_free) = workload_decode_svids(message, &err);
    if (update == NULL) {
        CHECK(err.class == ERR_INPUT || err.class == ERR_ENVIRONMENT);
        return;
    }
    CHECK(update->withdrawn == (update->num_svids == 0));
    for (size_t i = 0; i < update->num_svids; i++) {
        const struct update_svid *svid = &update->svids[i];
        CHECK(svid->spiffe_id.len > 0 && svid->chain.len > 0 && svid->key.len > 0 &&
              svid->bundle.len > 0);
    }
    struct buf wire = {0};
    CHECK(workload_encode_svids(update, &wire, &err));
    struct update *again OWNED(update_free) = workload_decode_svids(buf_span(&wire), &err);
    CHECK(again != NULL && again->num_svids == update->num_svids &&
          again->num_federated == update->num_federated && again->num_crls == update->num_crls);
    buf_clear_secret(&wire);
}

static void bundles_check(struct span message) {
    struct err err;
    struct update *update OWNED(update_free) = workload_decode_bundles(message, &err);
    if (update == NULL) {
        return;
    }
    struct buf wire = {0};
    CHECK(workload_encode_bundles(update, &wire, &err));
    struct update *again OWNED(update_free) = workload_decode_bundles(buf_span(&wire), &err);
    CHECK(again != NULL && again->num_federated == update->num_federated);
    buf_clear(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    svids_check(span_of(data, size));
    bundles_check(span_of(data, size));
    return 0;
}
