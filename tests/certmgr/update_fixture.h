// Updates as a source would deliver them, for tests of the identity store.
#ifndef TESTS_CERTMGR_UPDATE_FIXTURE_H
#define TESTS_CERTMGR_UPDATE_FIXTURE_H

#include <stdint.h>

#include "certmgr/identity_store.h"
#include "tests/testing/pki.h"

// Applies and frees `update`. `err` may be NULL.
enum identity_outcome update_fixture_apply(struct identity_store *store, struct update *update,
                                           int64_t now, struct err *err);
void update_fixture_set(struct update_bytes *field, struct span value);
// A leaf of these options, issued by `ca`, which is also the bundle; options->uris[0] is the ID.
void update_fixture_fill(struct update_svid *svid, const struct pki_cert *ca,
                         const struct pki_options *options);

#endif
