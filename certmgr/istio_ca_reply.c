#include "certmgr/istio_ca_reply.h"

#include "base/buf.h"
#include "certmgr/identity_store.h"
#include "certmgr/istio_ca_codec.h"
#include "certmgr/svid.h"

static struct update *make_update(struct span id, struct span chain, struct span key,
                                  struct span roots, struct err *err) {
    struct update *update OWNED(update_free) = update_new(1, 0, 0);
    if (update == NULL || !update_bytes_set(&update->svids[0].spiffe_id, id) ||
        !update_bytes_set(&update->svids[0].chain, chain) ||
        !update_bytes_set(&update->svids[0].key, key) ||
        !update_bytes_set(&update->svids[0].bundle, roots)) {
        ERR_NO_MEMORY(err, "reading a certificate");
        return NULL;
    }
    return take(&update);
}

// Tries the update where nothing depends on it.
static bool check(const struct update *update, const char *wanted_id, int64_t now,
                  struct err *err) {
    struct identity_store *store OWNED(identity_store_free) =
        identity_store_new((struct identity_choice){.spiffe_id = wanted_id});
    if (store == NULL) {
        return ERR_NO_MEMORY(err, "checking a certificate");
    }
    return identity_store_apply(store, update, now, err) == IDENTITY_CHANGED;
}

struct update *istio_ca_reply_open(struct span message, const struct istio_ca_question *question,
                                   int64_t now, struct istio_ca_validity *validity,
                                   struct err *err) {
    struct buf chain __attribute__((cleanup(buf_fini))) = {0};
    struct buf roots __attribute__((cleanup(buf_fini))) = {0};
    if (!istio_ca_codec_decode_response(message, &chain, &roots, err)) {
        return NULL;
    }
    struct svid *svid OWNED(svid_unref) =
        svid_parse(buf_span(&chain), question->key_der, span_of_text(question->spiffe_id),
                   span_of(NULL, 0), err);
    if (svid == NULL) {
        return NULL;
    }
    struct update *update OWNED(update_free) = make_update(
        spiffe_id_text(svid_id(svid)), buf_span(&chain), question->key_der, buf_span(&roots), err);
    if (update == NULL || !check(update, question->spiffe_id, now, err)) {
        return NULL;
    }
    *validity = (struct istio_ca_validity){.not_before = svid_not_before(svid),
                                           .not_after = svid_not_after(svid)};
    return take(&update);
}
