// Several SVIDs in one update: which one is in use, and what is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "certmgr/identity_store.h"
#include "tests/certmgr/update_fixture.h"

#define ID "spiffe://example.org/web"
#define OTHER "spiffe://example.org/other"

static struct update *three_svids(const struct pki_cert *ca) {
    struct update *update = update_new(3, 0, 0);
    assert_non_null(update);
    update_fixture_fill(&update->svids[0], ca, &(struct pki_options){.uris = {span_of_text(ID)}});
    update_fixture_fill(&update->svids[1], ca,
                        &(struct pki_options){.uris = {span_of_text(OTHER)}});
    update_fixture_fill(&update->svids[2], ca,
                        &(struct pki_options){.uris = {span_of_text("spiffe://b/x")}});
    update_fixture_set(&update->svids[0].hint, span_of_text("one"));
    update_fixture_set(&update->svids[1].hint, span_of_text("two"));
    return update;
}

static void test_choice(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    static const struct {
        struct identity_choice choice;
        const char *expected; // NULL: refused
    } rows[] = {
        {{NULL, NULL}, ID},     {{ID, NULL}, ID},        {{OTHER, NULL}, OTHER},
        {{NULL, "two"}, OTHER}, {{OTHER, "two"}, OTHER}, {{"spiffe://b/x", NULL}, "spiffe://b/x"},
        {{OTHER, "one"}, NULL}, {{NULL, "three"}, NULL}, {{"spiffe://example.org/we", NULL}, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct identity_store *store OWNED(identity_store_free) =
            identity_store_new(rows[i].choice);
        struct err err = {0};
        enum identity_outcome outcome = update_fixture_apply(store, three_svids(ca), PKI_NOW, &err);
        if (rows[i].expected == NULL) {
            assert_int_equal(outcome, IDENTITY_REFUSED);
            assert_non_null(strstr(err.msg, OTHER " (hint two)")); // what was offered
            continue;
        }
        assert_int_equal(outcome, IDENTITY_CHANGED);
        struct identity *identity = identity_store_current(store, PKI_NOW);
        assert_string_equal(svid_id(identity_svid(identity))->text, rows[i].expected);
        assert_int_equal(identity_num_svids(identity), 3);
        assert_int_equal(bundle_set_num_domains(identity_bundles(identity)), 2);
    }
}

static void test_duplicate_hint(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct identity_store *store OWNED(identity_store_free) =
        identity_store_new((struct identity_choice){.hint = "one"});
    struct update *update = three_svids(ca);
    update_fixture_set(&update->svids[1].hint, span_of_text("one"));
    assert_int_equal(update_fixture_apply(store, update, PKI_NOW, NULL), IDENTITY_CHANGED);
    struct identity *identity = identity_store_current(store, PKI_NOW);
    assert_string_equal(svid_id(identity_svid(identity))->text, ID);
    assert_int_equal(identity_num_svids(identity), 2); // the later one is skipped
}

// One bad SVID among good ones: the whole message is discarded.
static void test_one_bad_svid(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct identity_store *store OWNED(identity_store_free) =
        identity_store_new((struct identity_choice){0});
    struct update *update = three_svids(ca);
    update_fixture_set(&update->svids[2].bundle, span_of(NULL, 0));
    struct err err = {0};
    assert_int_equal(update_fixture_apply(store, update, PKI_NOW, &err), IDENTITY_REFUSED);
    assert_non_null(strstr(err.msg, "SVID 3"));
    assert_int_equal(identity_store_state(store, PKI_NOW), IDENTITY_PENDING);
}

// A reload: what is in force stays until the next update, generations go on growing.
static void test_another_choice(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct identity_store *store OWNED(identity_store_free) =
        identity_store_new((struct identity_choice){0});
    assert_int_equal(update_fixture_apply(store, three_svids(ca), PKI_NOW, NULL), IDENTITY_CHANGED);
    assert_true(identity_store_choose(store, (struct identity_choice){.spiffe_id = OTHER}, NULL));
    struct identity *identity = identity_store_current(store, PKI_NOW);
    assert_string_equal(svid_id(identity_svid(identity))->text, ID);
    uint64_t generation = identity_generation(identity);
    assert_int_equal(update_fixture_apply(store, three_svids(ca), PKI_NOW, NULL), IDENTITY_CHANGED);
    identity = identity_store_current(store, PKI_NOW);
    assert_string_equal(svid_id(identity_svid(identity))->text, OTHER);
    assert_int_equal(identity_generation(identity), generation + 1);
    assert_true(identity_store_choose(store, (struct identity_choice){.hint = "none"}, NULL));
    assert_int_equal(update_fixture_apply(store, three_svids(ca), PKI_NOW, NULL), IDENTITY_REFUSED);
    assert_int_equal(identity_store_counts(store).refused_by[IDENTITY_REFUSAL_NOT_OFFERED], 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_duplicate_hint),
        cmocka_unit_test(test_one_bad_svid),
        cmocka_unit_test(test_another_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
