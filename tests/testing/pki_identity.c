#include "tests/testing/pki_identity.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/span.h"
#include "certmgr/spiffe_id.h"

static void must(bool ok, const struct err *err) {
    if (!ok) {
        fprintf(stderr, "pki_identity: %s\n", err->msg);
        abort();
    }
}

struct bundle_set *pki_bundles(const char *trust_domain, const struct pki_cert *root) {
    struct err err = {0};
    struct bundle_builder *builder = bundle_builder_new();
    must(builder != NULL, &err);
    must(bundle_builder_add(builder, span_of_text(trust_domain), pki_der(root), &err), &err);
    struct bundle_set *set = bundle_builder_finish(builder);
    must(set != NULL, &err);
    return set;
}

struct svid *pki_svid_with(const struct pki_cert *ca, const struct pki_options *options) {
    struct err err = {0};
    struct pki_cert *leaf OWNED(pki_free) = pki_issue(ca, options);
    struct svid *svid =
        svid_parse(pki_der(leaf), pki_key_der(leaf), span_of(NULL, 0), span_of(NULL, 0), &err);
    must(svid != NULL, &err);
    return svid;
}

struct svid *pki_svid(const struct pki_cert *ca, const char *spiffe_id) {
    return pki_svid_with(ca, &(struct pki_options){.uris = {span_of_text(spiffe_id)}});
}

struct identity *pki_identity(const struct pki_cert *ca, const char *spiffe_id,
                              uint64_t generation) {
    struct err err = {0};
    struct svid *svid OWNED(svid_unref) = pki_svid(ca, spiffe_id);
    struct span name = spiffe_id_trust_domain(svid_id(svid));
    char trust_domain[SPIFFE_TRUST_DOMAIN_MAX + 1];
    snprintf(trust_domain, sizeof trust_domain, "%.*s", (int)name.len, (const char *)name.ptr);
    struct bundle_set *bundles OWNED(bundle_set_unref) = pki_bundles(trust_domain, ca);
    struct identity *identity = identity_new(generation, &svid, 1, bundles);
    must(identity != NULL, &err);
    return identity;
}

struct update *pki_update(const struct pki_cert *ca, const char *spiffe_id) {
    struct err err = {0};
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(ca, spiffe_id);
    struct update *update = update_new(1, 0, 0);
    must(update != NULL, &err);
    struct update_svid *svid = &update->svids[0];
    must(update_bytes_set(&svid->spiffe_id, span_of_text(spiffe_id)) &&
             update_bytes_set(&svid->chain, pki_der(leaf)) &&
             update_bytes_set(&svid->key, pki_key_der(leaf)) &&
             update_bytes_set(&svid->bundle, pki_der(ca)),
         &err);
    return update;
}
