#include "certmgr/identity.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/own.h"

struct identity {
    atomic_uint refs;
    uint64_t generation;
    struct bundle_set *bundles;
    struct verify_cache *verify_cache;
    size_t num_svids;
    struct svid *svids[];
};

struct identity *identity_new(uint64_t generation, struct svid *const *svids, size_t num,
                              struct bundle_set *bundles) {
    CHECK(num > 0);
    OWNED(identity_unref)
    struct identity *identity = calloc(1, sizeof *identity + num * sizeof identity->svids[0]);
    if (identity == NULL) {
        return NULL;
    }
    atomic_init(&identity->refs, 1);
    identity->verify_cache = verify_cache_new(bundles);
    if (identity->verify_cache == NULL) {
        return NULL;
    }
    identity->generation = generation;
    identity->bundles = bundle_set_ref(bundles);
    identity->num_svids = num;
    for (size_t i = 0; i < num; i++) {
        identity->svids[i] = svid_ref(svids[i]);
    }
    return take(&identity);
}

struct identity *identity_ref(struct identity *identity) {
    atomic_fetch_add_explicit(&identity->refs, 1, memory_order_relaxed);
    return identity;
}

void identity_unref(struct identity *identity) {
    if (identity == NULL ||
        atomic_fetch_sub_explicit(&identity->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < identity->num_svids; i++) {
        svid_unref(identity->svids[i]);
    }
    verify_cache_free(identity->verify_cache);
    bundle_set_unref(identity->bundles);
    free(identity);
}

uint64_t identity_generation(const struct identity *identity) {
    return identity->generation;
}

struct svid *identity_svid(const struct identity *identity) {
    return identity->svids[0];
}

size_t identity_num_svids(const struct identity *identity) {
    return identity->num_svids;
}

struct svid *identity_svid_at(const struct identity *identity, size_t index) {
    CHECK(index < identity->num_svids);
    return identity->svids[index];
}

struct bundle_set *identity_bundles(const struct identity *identity) {
    return identity->bundles;
}

struct verify_cache *identity_verify_cache(const struct identity *identity) {
    return identity->verify_cache;
}

struct span identity_trust_domain(const struct identity *identity) {
    return spiffe_id_trust_domain(svid_id(identity->svids[0]));
}
