// Ready-made values of certmgr on top of the in-memory PKI. Failures abort.
#ifndef TESTS_TESTING_PKI_IDENTITY_H
#define TESTS_TESTING_PKI_IDENTITY_H

#include "certmgr/bundle.h"
#include "certmgr/identity.h"
#include "certmgr/svid.h"
#include "certmgr/update.h"
#include "tests/testing/pki.h"

// A set with one domain and one root.
struct bundle_set *pki_bundles(const char *trust_domain, const struct pki_cert *root);
// An SVID issued directly by `ca`.
struct svid *pki_svid(const struct pki_cert *ca, const char *spiffe_id);
// The same with options; options->uris[0] is the ID.
struct svid *pki_svid_with(const struct pki_cert *ca, const struct pki_options *options);
// An identity of `spiffe_id`, issued by `ca`, that trusts `ca` for its own trust domain.
struct identity *pki_identity(const struct pki_cert *ca, const char *spiffe_id,
                              uint64_t generation);
// What a source would deliver: one SVID issued directly by `ca`, which is also the bundle.
struct update *pki_update(const struct pki_cert *ca, const char *spiffe_id);

#endif
