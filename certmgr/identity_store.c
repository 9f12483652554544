#include "certmgr/identity_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/pool.h>
#include <openssl/sha.h>

#include "base/own.h"
#include "certmgr/verify.h"

#define SVIDS_MAX 64 // in one update

struct identity_store {
    char *wanted_id;   // NULL: any
    char *wanted_hint; // NULL: any
    struct identity *identity;
    bool withdrawn;      // an identity was there and was taken back
    uint64_t generation; // of the last snapshot
    bool had_leaf;
    uint8_t leaf_digest[SHA256_DIGEST_LENGTH]; // of the leaf last in use
    struct identity_counts counts;
    char last_refusal[ERR_MSG_MAX];
};

struct candidate {
    struct svid *svid;
    const struct update_svid *raw; // what it was parsed from; borrowed
};

// The SVIDs of one update; after choose() the one to use is first.
struct candidates {
    size_t num;
    struct candidate items[SVIDS_MAX];
};

static void candidates_free(struct candidates *all) {
    for (size_t i = 0; all != NULL && i < all->num; i++) {
        svid_unref(all->items[i].svid);
    }
    free(all);
}
OWN_DEFINE(struct candidates, candidates_free)

const char *identity_state_name(enum identity_state state) {
    switch (state) {
    case IDENTITY_PENDING:
        return "pending";
    case IDENTITY_VALID:
        return "valid";
    case IDENTITY_EXPIRED:
        return "expired";
    case IDENTITY_WITHDRAWN:
        return "withdrawn";
    }
    return "unknown";
}

const char *identity_refusal_name(enum identity_refusal refusal) {
    static const char *const names[] = {
#define IDENTITY_REFUSAL(id, label) [id] = (label),
#include "certmgr/identity_refusal.def"
#undef IDENTITY_REFUSAL
    };
    return refusal < IDENTITY_REFUSAL_COUNT ? names[refusal] : "unknown";
}

struct identity_store *identity_store_new(struct identity_choice choice) {
    struct identity_store *store OWNED(identity_store_free) = calloc(1, sizeof *store);
    return store != NULL && identity_store_choose(store, choice, NULL) ? take(&store) : NULL;
}

bool identity_store_choose(struct identity_store *store, struct identity_choice choice,
                           struct err *err) {
    char *id = choice.spiffe_id == NULL ? NULL : strdup(choice.spiffe_id);
    char *hint = choice.hint == NULL ? NULL : strdup(choice.hint);
    if ((id == NULL) != (choice.spiffe_id == NULL) || (hint == NULL) != (choice.hint == NULL)) {
        free(id);
        free(hint);
        return ERR_NO_MEMORY(err, "choosing among the source's identities");
    }
    free(store->wanted_id);
    free(store->wanted_hint);
    store->wanted_id = id;
    store->wanted_hint = hint;
    return true;
}

void identity_store_free(struct identity_store *store) {
    if (store != NULL) {
        identity_unref(store->identity);
        free(store->wanted_id);
        free(store->wanted_hint);
        free(store);
    }
}

// Every field that the specification calls mandatory must hold something: otherwise the whole
// message is discarded (SPIFFE Workload API, 5.2.1).
static bool check_mandatory(const struct update_svid *svid, struct err *err) {
    const struct {
        const char *name;
        const struct update_bytes *value;
    } fields[] = {
        {"SPIFFE ID", &svid->spiffe_id},
        {"certificate chain", &svid->chain},
        {"private key", &svid->key},
        {"trust bundle", &svid->bundle},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (fields[i].value->len == 0) {
            return ERR_SET(err, ERR_INPUT, "its %s is empty", fields[i].name);
        }
    }
    return true;
}

// A hint is unique within a message; of two SVIDs with the same one the first wins.
static bool has_hint(const struct candidates *all, const char *hint) {
    for (size_t i = 0; hint[0] != '\0' && i < all->num; i++) {
        if (strcmp(svid_hint(all->items[i].svid), hint) == 0) {
            return true;
        }
    }
    return false;
}

static bool parse_svids(struct candidates *all, const struct update *update, struct err *err) {
    if (update->num_svids > SVIDS_MAX) {
        return ERR_SET(err, ERR_INPUT, "the update has %zu SVIDs; at most %d are taken",
                       update->num_svids, SVIDS_MAX);
    }
    for (size_t i = 0; i < update->num_svids; i++) {
        const struct update_svid *raw = &update->svids[i];
        if (!check_mandatory(raw, err)) {
            return err_wrap(err, "SVID %zu of the update", i + 1);
        }
        struct svid *svid OWNED(svid_unref) =
            svid_parse(update_bytes_span(&raw->chain), update_bytes_span(&raw->key),
                       update_bytes_span(&raw->spiffe_id), update_bytes_span(&raw->hint), err);
        if (svid == NULL) {
            return err_wrap(err, "SVID %zu of the update", i + 1);
        }
        if (!has_hint(all, svid_hint(svid))) {
            all->items[all->num++] = (struct candidate){.svid = take(&svid), .raw = raw};
        }
    }
    return true;
}

// "spiffe://td/a (hint x), spiffe://td/b": what the source offered, as much as fits.
static void describe(const struct candidates *all, char *out, size_t size) {
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < all->num && used < size; i++) {
        const char *hint = svid_hint(all->items[i].svid);
        int len = snprintf(out + used, size - used, "%s%.256s%s%.64s%s", i == 0 ? "" : ", ",
                           svid_id(all->items[i].svid)->text, hint[0] == '\0' ? "" : " (hint ",
                           hint, hint[0] == '\0' ? "" : ")");
        used += len > 0 ? (size_t)len : 0;
    }
}

static bool is_wanted(const struct identity_store *store, const struct svid *svid) {
    return (store->wanted_id == NULL || strcmp(store->wanted_id, svid_id(svid)->text) == 0) &&
           (store->wanted_hint == NULL || strcmp(store->wanted_hint, svid_hint(svid)) == 0);
}

// Moves the SVID to use to the front.
static bool choose(const struct identity_store *store, struct candidates *all, struct err *err) {
    size_t chosen = 0;
    while (chosen < all->num && !is_wanted(store, all->items[chosen].svid)) {
        chosen++;
    }
    if (chosen == all->num) {
        char offered[ERR_MSG_MAX / 2];
        describe(all, offered, sizeof offered);
        return ERR_SET(err, ERR_INPUT,
                       "the source offers no SVID with %s%.128s%s%s%.64s; it offers %s",
                       store->wanted_id == NULL ? "" : "SPIFFE ID ",
                       store->wanted_id == NULL ? "" : store->wanted_id,
                       store->wanted_id != NULL && store->wanted_hint != NULL ? " and " : "",
                       store->wanted_hint == NULL ? "" : "hint ",
                       store->wanted_hint == NULL ? "" : store->wanted_hint, offered);
    }
    struct candidate first = all->items[chosen];
    memmove(&all->items[1], &all->items[0], chosen * sizeof first);
    all->items[0] = first;
    return true;
}

static bool add_federated(struct bundle_builder *builder, const struct update_bundle *bundle,
                          struct err *err) {
    struct spiffe_id id;
    if (!spiffe_id_parse(&id, update_bytes_span(&bundle->trust_domain_id), err)) {
        return err_wrap(err, "the name of a federated trust bundle");
    }
    if (spiffe_id_path(&id).len != 0) {
        return ERR_SET(err, ERR_INPUT, "a federated trust bundle is named %.256s, with a path",
                       id.text);
    }
    return bundle_builder_add(builder, spiffe_id_trust_domain(&id), update_bytes_span(&bundle->der),
                              err);
}

// A later bundle of the same domain replaces an earlier one, so our own come last and the one of
// the SVID in use at the very end. Bundles are never merged.
static struct bundle_set *build_bundles(const struct update *update, const struct candidates *all,
                                        struct err *err) {
    struct bundle_builder *builder OWNED(bundle_builder_free) = bundle_builder_new();
    bool ok = builder != NULL || ERR_NO_MEMORY(err, "building the trust bundles");
    for (size_t i = 0; ok && i < update->num_federated; i++) {
        ok = add_federated(builder, &update->federated[i], err);
    }
    for (size_t i = all->num; ok && i > 0; i--) {
        const struct candidate *item = &all->items[i - 1];
        ok = bundle_builder_add(builder, spiffe_id_trust_domain(svid_id(item->svid)),
                                update_bytes_span(&item->raw->bundle), err);
    }
    for (size_t i = 0; ok && i < update->num_crls; i++) {
        ok = bundle_builder_add_crl(builder, update_bytes_span(&update->crls[i]), err);
    }
    return ok ? bundle_builder_finish(take(&builder)) : NULL;
}

// Peers will judge our SVID as we judge theirs: what we would refuse is not worth presenting.
static enum verify_result self_check(const struct svid *svid, const struct bundle_set *bundles,
                                     int64_t now, struct err *err) {
    size_t num_chain = 0;
    CRYPTO_BUFFER *const *chain = svid_chain(svid, &num_chain);
    const enum verify_role roles[] = {VERIFY_SERVER, VERIFY_CLIENT};
    for (size_t i = 0; i < 2; i++) {
        struct peer peer;
        enum verify_result result =
            verify_peer(bundles,
                        &(struct verify_question){
                            .chain = chain, .num_chain = num_chain, .role = roles[i], .now = now},
                        &peer, err);
        if (result != VERIFY_OK) {
            err_wrap(err, "our own SVID would be refused as a %s (%s)",
                     roles[i] == VERIFY_SERVER ? "server's" : "client's",
                     verify_result_name(result));
            return result;
        }
    }
    return VERIFY_OK;
}

static enum identity_outcome refuse(struct identity_store *store, enum identity_refusal refusal) {
    store->counts.refused++;
    store->counts.refused_by[refusal]++;
    return IDENTITY_REFUSED;
}

static enum identity_refusal refusal_of(enum verify_result result) {
    switch (result) {
    case VERIFY_EXPIRED:
        return IDENTITY_REFUSAL_EXPIRED;
    case VERIFY_NOT_YET_VALID:
        return IDENTITY_REFUSAL_NOT_YET_VALID;
    default:
        return IDENTITY_REFUSAL_UNTRUSTED;
    }
}

static bool same_chain(const struct svid *a, const struct svid *b) {
    size_t num_a = 0;
    size_t num_b = 0;
    CRYPTO_BUFFER *const *chain_a = svid_chain(a, &num_a);
    CRYPTO_BUFFER *const *chain_b = svid_chain(b, &num_b);
    bool same = num_a == num_b && strcmp(svid_hint(a), svid_hint(b)) == 0;
    for (size_t i = 0; same && i < num_a; i++) {
        same = span_equal(span_of(CRYPTO_BUFFER_data(chain_a[i]), CRYPTO_BUFFER_len(chain_a[i])),
                          span_of(CRYPTO_BUFFER_data(chain_b[i]), CRYPTO_BUFFER_len(chain_b[i])));
    }
    return same; // and so is the key: it belongs to the leaf
}

static bool is_same_identity(const struct identity *identity, const struct candidates *all,
                             const struct bundle_set *bundles) {
    bool same = identity != NULL && identity_num_svids(identity) == all->num &&
                memcmp(bundle_set_digest(identity_bundles(identity)), bundle_set_digest(bundles),
                       SHA256_DIGEST_LENGTH) == 0;
    for (size_t i = 0; same && i < all->num; i++) {
        same = same_chain(identity_svid_at(identity, i), all->items[i].svid);
    }
    return same;
}

static void count_rotation(struct identity_store *store, const struct svid *svid) {
    size_t num = 0;
    const CRYPTO_BUFFER *leaf = svid_chain(svid, &num)[0];
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256(CRYPTO_BUFFER_data(leaf), CRYPTO_BUFFER_len(leaf), digest);
    if (store->had_leaf && memcmp(digest, store->leaf_digest, sizeof digest) != 0) {
        store->counts.rotations++;
    }
    memcpy(store->leaf_digest, digest, sizeof digest);
    store->had_leaf = true;
}

// The swap: nothing after this can fail.
static bool put_in_force(struct identity_store *store, const struct candidates *all,
                         struct bundle_set *bundles, struct err *err) {
    struct svid *svids[SVIDS_MAX];
    for (size_t i = 0; i < all->num; i++) {
        svids[i] = all->items[i].svid;
    }
    struct identity *identity = identity_new(store->generation + 1, svids, all->num, bundles);
    if (identity == NULL) {
        return ERR_NO_MEMORY(err, "building the identity");
    }
    store->generation++;
    identity_unref(store->identity);
    store->identity = identity;
    count_rotation(store, svids[0]);
    return true;
}

static enum identity_outcome apply_valid(struct identity_store *store, const struct update *update,
                                         int64_t now, struct err *err) {
    struct candidates *all OWNED(candidates_free) = calloc(1, sizeof *all);
    if (all == NULL) {
        (void)ERR_NO_MEMORY(err, "reading an update");
        return refuse(store, IDENTITY_REFUSAL_OTHER);
    }
    if (!parse_svids(all, update, err)) {
        return refuse(store, IDENTITY_REFUSAL_MALFORMED);
    }
    if (!choose(store, all, err)) {
        return refuse(store, IDENTITY_REFUSAL_NOT_OFFERED);
    }
    struct bundle_set *bundles OWNED(bundle_set_unref) = build_bundles(update, all, err);
    if (bundles == NULL) {
        return refuse(store, IDENTITY_REFUSAL_BAD_BUNDLE);
    }
    enum verify_result verified = self_check(all->items[0].svid, bundles, now, err);
    if (verified != VERIFY_OK) {
        return refuse(store, refusal_of(verified));
    }
    if (is_same_identity(store->identity, all, bundles)) {
        return IDENTITY_UNCHANGED;
    }
    return put_in_force(store, all, bundles, err) ? IDENTITY_CHANGED
                                                  : refuse(store, IDENTITY_REFUSAL_OTHER);
}

// There is nothing to withdraw while the identity is pending: it stays so.
static enum identity_outcome withdraw(struct identity_store *store) {
    if (store->identity != NULL) {
        store->counts.withdrawals++;
        store->withdrawn = true;
        identity_unref(store->identity);
        store->identity = NULL;
    }
    return IDENTITY_GONE;
}

enum identity_outcome identity_store_apply(struct identity_store *store,
                                           const struct update *update, int64_t now,
                                           struct err *err) {
    // An empty set says the same as the word.
    if (update->withdrawn || update->num_svids == 0) {
        return withdraw(store);
    }
    struct err refusal = {0};
    enum identity_outcome outcome = apply_valid(store, update, now, &refusal);
    memcpy(store->last_refusal, refusal.msg, sizeof store->last_refusal);
    if (outcome == IDENTITY_REFUSED) {
        if (err != NULL) {
            *err = refusal;
        }
        return outcome;
    }
    store->last_refusal[0] = '\0';
    store->counts.updates++;
    return outcome;
}

struct identity *identity_store_current(const struct identity_store *store, int64_t now) {
    return identity_store_state(store, now) == IDENTITY_VALID ? store->identity : NULL;
}

enum identity_state identity_store_state(const struct identity_store *store, int64_t now) {
    if (store->identity == NULL) {
        return store->withdrawn ? IDENTITY_WITHDRAWN : IDENTITY_PENDING;
    }
    // As the verifier counts: the second of notAfter is already too late.
    return now < svid_not_after(identity_svid(store->identity)) ? IDENTITY_VALID : IDENTITY_EXPIRED;
}

struct identity_counts identity_store_counts(const struct identity_store *store) {
    return store->counts;
}

const char *identity_store_last_refusal(const struct identity_store *store) {
    return store->last_refusal;
}
