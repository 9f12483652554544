#include "certmgr/chain_verify.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/testing/pki.h"

// A root, two intermediates below each other, and a leaf of the second.
struct world {
    struct pki_cert *root, *upper, *lower, *leaf;
};

static void make(struct world *w, const struct pki_options *leaf) {
    w->root = pki_ca();
    w->upper = pki_intermediate(w->root);
    w->lower = pki_intermediate(w->upper);
    w->leaf = pki_issue(w->lower, leaf);
}

static void unmake(struct world *w) {
    pki_free(w->root);
    pki_free(w->upper);
    pki_free(w->lower);
    pki_free(w->leaf);
}

static enum verify_result judge(const struct world *w, const struct pki_cert *anchor,
                                struct chain_rules rules) {
    struct err err = {0};
    OWNED(anchors_free) struct anchors *anchors = anchors_new();
    assert_true(anchors_add(anchors, pki_der(anchor), "anchor", &err));
    CRYPTO_BUFFER *chain[] = {pki_buffer(w->leaf), pki_buffer(w->lower), pki_buffer(w->upper)};
    rules.anchors = anchors;
    enum verify_result result = chain_verify(&rules, chain, 3, PKI_NOW, &err);
    assert_true((result == VERIFY_OK) == (err.msg[0] == '\0'));
    return result;
}

static void test_each_is_an_anchor(void **state) {
    (void)state;
    struct world w;
    make(&w, &(struct pki_options){0});
    struct chain_rules rules = {.role = VERIFY_CLIENT, .depth = 2};
    OWNED(pki_free) struct pki_cert *stranger = pki_ca();
    OWNED(pki_free) struct pki_cert *sibling = pki_issue(w.lower, &(struct pki_options){0});
    assert_int_equal(judge(&w, w.root, rules), VERIFY_OK);
    assert_int_equal(judge(&w, w.lower, rules), VERIFY_OK);
    assert_int_equal(judge(&w, w.leaf, rules), VERIFY_OK);
    assert_int_equal(judge(&w, stranger, rules), VERIFY_UNTRUSTED);
    assert_int_equal(judge(&w, sibling, rules), VERIFY_UNTRUSTED);
    unmake(&w);
}

// clientDepth counts intermediates; the library counts the anchor, too.
static void test_depth(void **state) {
    (void)state;
    struct world w;
    make(&w, &(struct pki_options){0});
    struct chain_rules rules = {.role = VERIFY_CLIENT, .depth = 1};
    assert_int_equal(judge(&w, w.root, rules), VERIFY_UNTRUSTED);
    assert_int_equal(judge(&w, w.upper, rules), VERIFY_OK);
    rules.depth = 0;
    assert_int_equal(judge(&w, w.upper, rules), VERIFY_UNTRUSTED);
    assert_int_equal(judge(&w, w.lower, rules), VERIFY_OK);
    unmake(&w);
}

static enum verify_result judge_leaf(const struct pki_options *leaf, struct chain_rules rules) {
    struct world w;
    make(&w, leaf);
    rules.depth = 2;
    enum verify_result by_root = judge(&w, w.root, rules);
    unmake(&w);
    return by_root;
}

static void test_times(void **state) {
    (void)state;
    struct chain_rules strict = {.role = VERIFY_CLIENT};
    struct chain_rules kind = {.role = VERIFY_CLIENT, .allow_outdated = true};
    struct pki_options past = {.not_after = PKI_NOW - 1};
    struct pki_options future = {.not_before = PKI_NOW + 1};
    assert_int_equal(judge_leaf(&past, strict), VERIFY_EXPIRED);
    assert_int_equal(judge_leaf(&past, kind), VERIFY_OK);
    assert_int_equal(judge_leaf(&future, strict), VERIFY_NOT_YET_VALID);
    assert_int_equal(judge_leaf(&future, kind), VERIFY_NOT_YET_VALID);
    past.extended_key_usage = "serverAuth";
    assert_int_equal(judge_leaf(&past, kind), VERIFY_BAD_USAGE); // only expiry is forgiven
}

static void test_old_authority_is_not_forgiven(void **state) {
    (void)state;
    struct err err = {0};
    struct pki_options old = {.ca = true, .not_after = PKI_NOW - 1};
    OWNED(pki_free) struct pki_cert *ca = pki_issue(NULL, &old);
    OWNED(pki_free) struct pki_cert *leaf = pki_issue(ca, &(struct pki_options){0});
    OWNED(anchors_free) struct anchors *anchors = anchors_new();
    assert_true(anchors_add(anchors, pki_der(ca), "ca", &err));
    struct chain_rules rules = {
        .anchors = anchors, .role = VERIFY_CLIENT, .depth = 1, .allow_outdated = true};
    CRYPTO_BUFFER *chain[] = {pki_buffer(leaf)};
    assert_int_equal(chain_verify(&rules, chain, 1, PKI_NOW, &err), VERIFY_EXPIRED);
}

static void test_usage(void **state) {
    (void)state;
    struct chain_rules client = {.role = VERIFY_CLIENT};
    struct chain_rules server = {.role = VERIFY_SERVER};
    struct pki_options none = {.extended_key_usage = PKI_ABSENT};
    struct pki_options for_servers = {.extended_key_usage = "serverAuth"};
    struct pki_options first = {.version1 = true}; // as the seed's own commands make them
    assert_int_equal(judge_leaf(&none, client), VERIFY_OK);
    assert_int_equal(judge_leaf(&for_servers, client), VERIFY_BAD_USAGE);
    assert_int_equal(judge_leaf(&for_servers, server), VERIFY_OK);
    assert_int_equal(judge_leaf(&first, client), VERIFY_OK);
}

static void test_strength(void **state) {
    (void)state;
    struct chain_rules strict = {.role = VERIFY_CLIENT};
    struct chain_rules kind = {.role = VERIFY_CLIENT, .allow_weak = true};
    struct pki_options small = {.key = PKI_RSA1024};
    struct pki_options old = {.digest = PKI_SHA1};
    struct pki_options good = {.key = PKI_RSA2048, .digest = PKI_SHA384};
    assert_int_equal(judge_leaf(&small, strict), VERIFY_WEAK);
    assert_int_equal(judge_leaf(&small, kind), VERIFY_OK);
    assert_int_equal(judge_leaf(&old, strict), VERIFY_WEAK);
    assert_int_equal(judge_leaf(&old, kind), VERIFY_OK);
    assert_int_equal(judge_leaf(&good, strict), VERIFY_OK);
}

static void test_bounds(void **state) {
    (void)state;
    struct err err = {0};
    OWNED(pki_free) struct pki_cert *ca = pki_ca();
    OWNED(anchors_free) struct anchors *anchors = anchors_new();
    assert_true(anchors_add(anchors, pki_der(ca), "ca", &err));
    struct chain_rules rules = {.anchors = anchors, .role = VERIFY_CLIENT};
    CRYPTO_BUFFER *chain[SVID_CHAIN_MAX + 1];
    for (size_t i = 0; i <= SVID_CHAIN_MAX; i++) {
        chain[i] = pki_buffer(ca);
    }
    assert_int_equal(chain_verify(&rules, chain, SVID_CHAIN_MAX + 1, PKI_NOW, &err),
                     VERIFY_TOO_LARGE);
    assert_int_equal(chain_verify(&rules, chain, 0, PKI_NOW, &err), VERIFY_NO_CERTIFICATE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_is_an_anchor),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_strength),
        cmocka_unit_test(test_old_authority_is_not_forgiven),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
