// From updates to the identity in force: full state, bad messages leave the old
// one, withdrawal drops it at once, expiry by an injected clock.
#include "certmgr/identity_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/certmgr/update_fixture.h"
#include "tests/testing/pki_identity.h"

#define ID "spiffe://example.org/web"
#define OTHER "spiffe://example.org/other"

static struct identity_store *new_store(void) {
    struct identity_store *store = identity_store_new((struct identity_choice){0});
    assert_non_null(store);
    return store;
}

static struct update *update_with(const struct pki_cert *ca, const struct pki_options *options) {
    struct update *update = update_new(1, 0, 0);
    assert_non_null(update);
    update_fixture_fill(&update->svids[0], ca, options);
    return update;
}

static struct update *update_until(const struct pki_cert *ca, int64_t not_after) {
    struct pki_options options = {.uris = {span_of_text(ID)}, .not_after = not_after};
    return update_with(ca, &options);
}

static const char *current_serial(const struct identity_store *store) {
    struct identity *identity = identity_store_current(store, PKI_NOW);
    return identity == NULL ? "" : svid_serial(identity_svid(identity));
}

static void test_first_and_rotation(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct identity_store *store OWNED(identity_store_free) = new_store();
    assert_int_equal(identity_store_state(store, PKI_NOW), IDENTITY_PENDING);
    assert_null(identity_store_current(store, PKI_NOW));

    assert_int_equal(update_fixture_apply(store, pki_update(ca, ID), PKI_NOW, NULL),
                     IDENTITY_CHANGED);
    assert_int_equal(identity_store_state(store, PKI_NOW), IDENTITY_VALID);
    struct identity *first OWNED(identity_unref) =
        identity_ref(identity_store_current(store, PKI_NOW));
    assert_string_equal(svid_id(identity_svid(first))->text, ID);
    assert_true(span_equal_text(identity_trust_domain(first), "example.org"));
    assert_int_equal(identity_store_counts(store).rotations, 0);

    assert_int_equal(update_fixture_apply(store, pki_update(ca, ID), PKI_NOW, NULL),
                     IDENTITY_CHANGED);
    struct identity *second = identity_store_current(store, PKI_NOW);
    assert_true(identity_generation(second) > identity_generation(first));
    assert_string_not_equal(svid_serial(identity_svid(second)), svid_serial(identity_svid(first)));
    assert_int_equal(identity_store_counts(store).rotations, 1);
    assert_int_equal(identity_store_counts(store).updates, 2);
}

static struct update *copy_of(const struct update *update) {
    struct update *copy = update_new(1, 0, 0);
    assert_non_null(copy);
    update_fixture_set(&copy->svids[0].spiffe_id, update_bytes_span(&update->svids[0].spiffe_id));
    update_fixture_set(&copy->svids[0].chain, update_bytes_span(&update->svids[0].chain));
    update_fixture_set(&copy->svids[0].key, update_bytes_span(&update->svids[0].key));
    update_fixture_set(&copy->svids[0].bundle, update_bytes_span(&update->svids[0].bundle));
    return copy;
}

static void test_same_content(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct pki_cert *ca2 OWNED(pki_free) = pki_ca();
    struct identity_store *store OWNED(identity_store_free) = new_store();
    struct update *update OWNED(update_free) = pki_update(ca, ID);
    assert_int_equal(update_fixture_apply(store, copy_of(update), PKI_NOW, NULL), IDENTITY_CHANGED);
    struct identity *before = identity_store_current(store, PKI_NOW);
    assert_int_equal(update_fixture_apply(store, copy_of(update), PKI_NOW, NULL),
                     IDENTITY_UNCHANGED);
    assert_ptr_equal(identity_store_current(store, PKI_NOW), before);
    assert_int_equal(identity_store_counts(store).updates, 2);

    // Another bundle with the same SVID is a change, but not a rotation of the SVID.
    const struct pki_cert *both[] = {ca, ca2};
    struct pki_bytes *bundle OWNED(pki_bytes_free) = pki_concat(both, 2);
    struct update *wider = copy_of(update);
    update_fixture_set(&wider->svids[0].bundle, pki_span(bundle));
    assert_int_equal(update_fixture_apply(store, wider, PKI_NOW, NULL), IDENTITY_CHANGED);
    assert_int_equal(identity_store_counts(store).rotations, 0);
}

static void test_every_empty_field(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct identity_store *store OWNED(identity_store_free) = new_store();
    assert_int_equal(update_fixture_apply(store, pki_update(ca, ID), PKI_NOW, NULL),
                     IDENTITY_CHANGED);
    char serial[SVID_SERIAL_TEXT_MAX];
    strcpy(serial, current_serial(store));
    static const char *const words[] = {"SPIFFE ID", "certificate chain", "private key",
                                        "trust bundle"};
    for (size_t i = 0; i < 4; i++) {
        struct update *update = pki_update(ca, ID);
        struct update_bytes *fields[] = {&update->svids[0].spiffe_id, &update->svids[0].chain,
                                         &update->svids[0].key, &update->svids[0].bundle};
        update_fixture_set(fields[i], span_of(NULL, 0));
        struct err err = {0};
        assert_int_equal(update_fixture_apply(store, update, PKI_NOW, &err), IDENTITY_REFUSED);
        assert_non_null(strstr(err.msg, words[i]));
        assert_string_equal(identity_store_last_refusal(store), err.msg);
        assert_string_equal(current_serial(store), serial); // the old one stays
        assert_int_equal(identity_store_counts(store).refused, i + 1);
    }
    assert_int_equal(update_fixture_apply(store, pki_update(ca, ID), PKI_NOW, NULL),
                     IDENTITY_CHANGED);
    assert_string_equal(identity_store_last_refusal(store), "");
}

static void refused(struct identity_store *store, struct update *update, const char *what) {
    struct err err = {0};
    char serial[SVID_SERIAL_TEXT_MAX];
    strcpy(serial, current_serial(store));
    if (update_fixture_apply(store, update, PKI_NOW, &err) != IDENTITY_REFUSED) {
        fail_msg("accepted: %s", what);
    }
    assert_true(err.msg[0] != '\0');
    assert_string_equal(current_serial(store), serial);
}

static void test_bad_updates(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct pki_cert *ca2 OWNED(pki_free) = pki_ca();
    struct identity_store *store OWNED(identity_store_free) = new_store();
    assert_int_equal(update_fixture_apply(store, pki_update(ca, ID), PKI_NOW, NULL),
                     IDENTITY_CHANGED);

    struct update *update = pki_update(ca, ID);
    struct update *other OWNED(update_free) = pki_update(ca, ID);
    update_fixture_set(&update->svids[0].key, update_bytes_span(&other->svids[0].key));
    refused(store, update, "another key");

    update = pki_update(ca, ID);
    update_fixture_set(&update->svids[0].spiffe_id, span_of_text(OTHER));
    refused(store, update, "another SPIFFE ID");

    update = pki_update(ca, ID);
    update_fixture_set(&update->svids[0].bundle, pki_der(ca2));
    refused(store, update, "a bundle that the chain does not lead to");

    update = pki_update(ca, ID);
    update->svids[0].chain.len--;
    refused(store, update, "a truncated chain");

    update = pki_update(ca, ID);
    update->svids[0].bundle.len--;
    refused(store, update, "a truncated bundle");

    refused(store, update_until(ca, PKI_NOW), "expired");
    struct pki_options early = {.uris = {span_of_text(ID)}, .not_before = PKI_NOW + 1};
    refused(store, update_with(ca, &early), "not valid yet");
    struct pki_options client = {.uris = {span_of_text(ID)}, .extended_key_usage = "clientAuth"};
    refused(store, update_with(ca, &client), "no serverAuth");
    struct pki_options server = {.uris = {span_of_text(ID)}, .extended_key_usage = "serverAuth"};
    refused(store, update_with(ca, &server), "no clientAuth");
    struct identity_counts counts = identity_store_counts(store);
    assert_int_equal(counts.refused, 9);
    static const uint64_t by[IDENTITY_REFUSAL_COUNT] = {[IDENTITY_REFUSAL_MALFORMED] = 3,
                                                        [IDENTITY_REFUSAL_BAD_BUNDLE] = 1,
                                                        [IDENTITY_REFUSAL_EXPIRED] = 1,
                                                        [IDENTITY_REFUSAL_NOT_YET_VALID] = 1,
                                                        [IDENTITY_REFUSAL_UNTRUSTED] = 3};
    for (int i = 0; i < IDENTITY_REFUSAL_COUNT; i++) {
        if (counts.refused_by[i] != by[i]) {
            fail_msg("%d refused as %s", (int)counts.refused_by[i],
                     identity_refusal_name((enum identity_refusal)i));
        }
    }
    assert_int_equal(update_fixture_apply(store, pki_update(ca, ID), PKI_NOW, NULL),
                     IDENTITY_CHANGED);
}

static struct update *with_federated(const struct pki_cert *ca, const char *name,
                                     struct span bundle) {
    struct update *update = update_new(1, 1, 0);
    assert_non_null(update);
    update_fixture_fill(&update->svids[0], ca, &(struct pki_options){.uris = {span_of_text(ID)}});
    update_fixture_set(&update->federated[0].trust_domain_id, span_of_text(name));
    update_fixture_set(&update->federated[0].der, bundle);
    return update;
}

static bool knows(const struct identity_store *store, const char *domain) {
    struct identity *identity = identity_store_current(store, PKI_NOW);
    return bundle_set_store(identity_bundles(identity), span_of_text(domain)) != NULL;
}

static void test_federated_bundles(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct pki_cert *ca2 OWNED(pki_free) = pki_ca();
    struct identity_store *store OWNED(identity_store_free) = new_store();
    struct update *update = with_federated(ca, "spiffe://other.org", pki_der(ca2));
    assert_int_equal(update_fixture_apply(store, update, PKI_NOW, NULL), IDENTITY_CHANGED);
    assert_true(knows(store, "example.org"));
    assert_true(knows(store, "other.org"));

    refused(store, with_federated(ca, "other.org", pki_der(ca2)), "not a SPIFFE ID");
    refused(store, with_federated(ca, "spiffe://other.org/x", pki_der(ca2)), "a path");
    refused(store, with_federated(ca, "", pki_der(ca2)), "an empty name");
    refused(store, with_federated(ca, "spiffe://other.org", span_of(NULL, 0)), "an empty bundle");
    assert_true(knows(store, "other.org"));

    // Absent is removed.
    assert_int_equal(update_fixture_apply(store, pki_update(ca, ID), PKI_NOW, NULL),
                     IDENTITY_CHANGED);
    assert_false(knows(store, "other.org"));

    // Nobody else speaks for our own domain.
    update = with_federated(ca, "spiffe://example.org", pki_der(ca2));
    assert_int_equal(update_fixture_apply(store, update, PKI_NOW, NULL), IDENTITY_CHANGED);
}

static void test_withdrawal(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct identity_store *store OWNED(identity_store_free) = new_store();
    struct update *withdrawn OWNED(update_free) = update_new(0, 0, 0);
    withdrawn->withdrawn = true;
    // Nothing was there: still pending.
    assert_int_equal(identity_store_apply(store, withdrawn, PKI_NOW, NULL), IDENTITY_GONE);
    assert_int_equal(identity_store_state(store, PKI_NOW), IDENTITY_PENDING);
    assert_int_equal(identity_store_counts(store).withdrawals, 0);

    assert_int_equal(update_fixture_apply(store, pki_update(ca, ID), PKI_NOW, NULL),
                     IDENTITY_CHANGED);
    assert_int_equal(identity_store_apply(store, withdrawn, PKI_NOW, NULL), IDENTITY_GONE);
    assert_null(identity_store_current(store, PKI_NOW));
    assert_int_equal(identity_store_state(store, PKI_NOW), IDENTITY_WITHDRAWN);
    assert_int_equal(identity_store_counts(store).withdrawals, 1);

    // A bad update does not bring it back, a good one does.
    struct update *bad = pki_update(ca, ID);
    bad->svids[0].chain.len--;
    assert_int_equal(update_fixture_apply(store, bad, PKI_NOW, NULL), IDENTITY_REFUSED);
    assert_int_equal(identity_store_state(store, PKI_NOW), IDENTITY_WITHDRAWN);
    assert_int_equal(update_fixture_apply(store, pki_update(ca, ID), PKI_NOW, NULL),
                     IDENTITY_CHANGED);
    assert_int_equal(identity_store_state(store, PKI_NOW), IDENTITY_VALID);

    // An empty set is a withdrawal too.
    assert_int_equal(update_fixture_apply(store, update_new(0, 0, 0), PKI_NOW, NULL),
                     IDENTITY_GONE);
    assert_int_equal(identity_store_state(store, PKI_NOW), IDENTITY_WITHDRAWN);
}

static void test_expiry(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct identity_store *store OWNED(identity_store_free) = new_store();
    assert_int_equal(update_fixture_apply(store, update_until(ca, PKI_NOW + 10), PKI_NOW, NULL),
                     IDENTITY_CHANGED);
    assert_non_null(identity_store_current(store, PKI_NOW + 9));
    assert_null(identity_store_current(store, PKI_NOW + 10));
    assert_int_equal(identity_store_state(store, PKI_NOW + 10), IDENTITY_EXPIRED);
    assert_int_equal(identity_store_state(store, PKI_NOW + 9), IDENTITY_VALID);
    // Recovery without restart.
    struct update *next = update_until(ca, PKI_NOW + 30);
    assert_int_equal(update_fixture_apply(store, next, PKI_NOW + 20, NULL), IDENTITY_CHANGED);
    assert_int_equal(identity_store_state(store, PKI_NOW + 20), IDENTITY_VALID);
    assert_int_equal(identity_store_counts(store).rotations, 1);
}

// An intermediate that expires first ends the identity.
static void test_chain_expiry(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct pki_cert *intermediate OWNED(pki_free) =
        pki_issue(ca, &(struct pki_options){.ca = true, .not_after = PKI_NOW + 5});
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(intermediate, ID);
    const struct pki_cert *certs[] = {leaf, intermediate};
    struct pki_bytes *chain OWNED(pki_bytes_free) = pki_concat(certs, 2);
    struct update *update = pki_update(ca, ID);
    update_fixture_set(&update->svids[0].chain, pki_span(chain));
    update_fixture_set(&update->svids[0].key, pki_key_der(leaf));
    struct identity_store *store OWNED(identity_store_free) = new_store();
    assert_int_equal(update_fixture_apply(store, update, PKI_NOW, NULL), IDENTITY_CHANGED);
    assert_int_equal(identity_store_state(store, PKI_NOW + 4), IDENTITY_VALID);
    assert_int_equal(identity_store_state(store, PKI_NOW + 5), IDENTITY_EXPIRED);
}

static void test_crls(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct pki_cert *revoked OWNED(pki_free) = pki_leaf(ca, OTHER);
    struct pki_bytes *crl OWNED(pki_bytes_free) = pki_crl(ca, revoked, PKI_NOW, PKI_NOW + 99);
    struct identity_store *store OWNED(identity_store_free) = new_store();
    struct update *update = update_new(1, 0, 1);
    assert_non_null(update);
    update_fixture_fill(&update->svids[0], ca, &(struct pki_options){.uris = {span_of_text(ID)}});
    update_fixture_set(&update->crls[0], pki_span(crl));
    assert_int_equal(identity_store_apply(store, update, PKI_NOW, NULL), IDENTITY_CHANGED);
    assert_true(bundle_set_has_crls(identity_bundles(identity_store_current(store, PKI_NOW))));
    update->crls[0].len--;
    assert_int_equal(update_fixture_apply(store, update, PKI_NOW, NULL), IDENTITY_REFUSED);
    // Absent is removed.
    assert_int_equal(update_fixture_apply(store, pki_update(ca, ID), PKI_NOW, NULL),
                     IDENTITY_CHANGED);
    assert_false(bundle_set_has_crls(identity_bundles(identity_store_current(store, PKI_NOW))));
}

static void test_state_names(void **state) {
    (void)state;
    assert_string_equal(identity_state_name(IDENTITY_PENDING), "pending");
    assert_string_equal(identity_state_name(IDENTITY_VALID), "valid");
    assert_string_equal(identity_state_name(IDENTITY_EXPIRED), "expired");
    assert_string_equal(identity_state_name(IDENTITY_WITHDRAWN), "withdrawn");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_and_rotation),
        cmocka_unit_test(test_same_content),
        cmocka_unit_test(test_every_empty_field),
        cmocka_unit_test(test_bad_updates),
        cmocka_unit_test(test_federated_bundles),
        cmocka_unit_test(test_withdrawal),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_chain_expiry),
        cmocka_unit_test(test_crls),
        cmocka_unit_test(test_state_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
