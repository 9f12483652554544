// Revocation lists from the bundle set: an absent list refuses nothing, a present one counts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/certmgr/verify_fixture.h"

#define EARLIER (PKI_NOW - 1000)
#define LATER (PKI_NOW + 1000)

struct world {
    struct pki_cert *root;
    struct pki_cert *intermediate;
    struct pki_cert *leaf;
    struct pki_cert *other_leaf;
    struct pki_cert *namesake; // another CA under the intermediate's name
};

static struct world make_world(const char *key_usage) {
    struct pki_options named = {.ca = true, .common_name = "issuer", .key_usage = key_usage};
    struct world w = {.root = pki_ca()};
    w.intermediate = pki_issue(w.root, &named);
    w.namesake = pki_issue(w.root, &named);
    w.leaf = pki_leaf(w.intermediate, FIXTURE_ID);
    w.other_leaf = pki_leaf(w.intermediate, FIXTURE_ID);
    return w;
}

static void free_world(struct world *w) {
    pki_free(w->root);
    pki_free(w->intermediate);
    pki_free(w->namesake);
    pki_free(w->leaf);
    pki_free(w->other_leaf);
}

// Verifies `leaf` against the root and up to two CRLs, which are freed.
static enum verify_result verify_with(const struct world *w, const struct pki_cert *leaf,
                                      struct pki_bytes *crl, struct pki_bytes *second) {
    struct bundle_builder *builder = bundle_builder_new();
    assert_true(bundle_builder_add(builder, span_of_text(FIXTURE_DOMAIN), pki_der(w->root), NULL));
    struct pki_bytes *all[] = {crl, second};
    for (size_t i = 0; i < 2; i++) {
        assert_true(all[i] == NULL || bundle_builder_add_crl(builder, pki_span(all[i]), NULL));
        pki_bytes_free(all[i]);
    }
    struct bundle_set *bundles OWNED(bundle_set_unref) = bundle_builder_finish(builder);
    assert_int_equal(bundle_set_has_crls(bundles), crl != NULL);
    const struct pki_cert *chain[] = {leaf, w->intermediate};
    return verify_fixture_certs(bundles, chain, 2, NULL);
}

static void test_leaf(void **state) {
    (void)state;
    struct world w = make_world(NULL);
    assert_int_equal(verify_with(&w, w.leaf, NULL, NULL), VERIFY_OK);
    struct pki_bytes *crl = pki_crl(w.intermediate, w.leaf, EARLIER, LATER);
    assert_int_equal(verify_with(&w, w.leaf, crl, NULL), VERIFY_REVOKED);
    crl = pki_crl(w.intermediate, w.leaf, EARLIER, LATER);
    assert_int_equal(verify_with(&w, w.other_leaf, crl, NULL), VERIFY_OK);
    crl = pki_crl(w.intermediate, NULL, EARLIER, LATER);
    assert_int_equal(verify_with(&w, w.leaf, crl, NULL), VERIFY_OK);
    free_world(&w);
}

static void test_intermediate(void **state) {
    (void)state;
    struct world w = make_world(NULL);
    struct pki_bytes *crl = pki_crl(w.root, w.intermediate, EARLIER, LATER);
    assert_int_equal(verify_with(&w, w.leaf, crl, NULL), VERIFY_REVOKED);
    crl = pki_crl(w.root, w.namesake, EARLIER, LATER);
    assert_int_equal(verify_with(&w, w.leaf, crl, NULL), VERIFY_OK);
    free_world(&w);
}

static void test_times(void **state) {
    (void)state;
    struct world w = make_world(NULL);
    struct pki_bytes *stale = pki_crl(w.intermediate, NULL, EARLIER, PKI_NOW);
    assert_int_equal(verify_with(&w, w.leaf, stale, NULL), VERIFY_UNTRUSTED);
    struct pki_bytes *early = pki_crl(w.intermediate, NULL, PKI_NOW + 1, LATER);
    assert_int_equal(verify_with(&w, w.leaf, early, NULL), VERIFY_UNTRUSTED);
    // What a stale list names stays revoked, and a current one beside it makes it good enough.
    stale = pki_crl(w.intermediate, w.leaf, EARLIER, PKI_NOW);
    assert_int_equal(verify_with(&w, w.leaf, stale, NULL), VERIFY_REVOKED);
    stale = pki_crl(w.intermediate, NULL, EARLIER, PKI_NOW);
    struct pki_bytes *current = pki_crl(w.intermediate, NULL, EARLIER, PKI_NOW + 1);
    assert_int_equal(verify_with(&w, w.leaf, stale, current), VERIFY_OK);
    stale = pki_crl(w.intermediate, w.leaf, EARLIER, PKI_NOW);
    current = pki_crl(w.intermediate, NULL, EARLIER, PKI_NOW + 1);
    assert_int_equal(verify_with(&w, w.leaf, current, stale), VERIFY_REVOKED);
    free_world(&w);
}

// Lists are looked at for every domain, so a CA of the same name must have no say.
static void test_namesake_has_no_say(void **state) {
    (void)state;
    struct world w = make_world(NULL);
    struct pki_bytes *crl = pki_crl(w.namesake, w.leaf, EARLIER, LATER);
    assert_int_equal(verify_with(&w, w.leaf, crl, NULL), VERIFY_OK);
    crl = pki_crl(w.namesake, NULL, EARLIER, PKI_NOW);
    assert_int_equal(verify_with(&w, w.leaf, crl, NULL), VERIFY_OK);
    free_world(&w);
}

static void test_issuer_without_crl_sign(void **state) {
    (void)state;
    struct world w = make_world("critical,keyCertSign");
    struct pki_bytes *crl = pki_crl(w.intermediate, w.leaf, EARLIER, LATER);
    assert_int_equal(verify_with(&w, w.leaf, crl, NULL), VERIFY_OK);
    free_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaf),
        cmocka_unit_test(test_intermediate),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_namesake_has_no_say),
        cmocka_unit_test(test_issuer_without_crl_sign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
