#include "tests/certmgr/update_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum identity_outcome update_fixture_apply(struct identity_store *store, struct update *update,
                                           int64_t now, struct err *err) {
    struct err ignored = {0};
    enum identity_outcome outcome =
        identity_store_apply(store, update, now, err == NULL ? &ignored : err);
    update_free(update);
    return outcome;
}

void update_fixture_set(struct update_bytes *field, struct span value) {
    assert_true(update_bytes_set(field, value));
}

void update_fixture_fill(struct update_svid *svid, const struct pki_cert *ca,
                         const struct pki_options *options) {
    struct pki_cert *leaf OWNED(pki_free) = pki_issue(ca, options);
    update_fixture_set(&svid->spiffe_id, options->uris[0]);
    update_fixture_set(&svid->chain, pki_der(leaf));
    update_fixture_set(&svid->key, pki_key_der(leaf));
    update_fixture_set(&svid->bundle, pki_der(ca));
}
