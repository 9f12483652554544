// The cache must never answer anything but what the verifier would have said at that moment.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "certmgr/verify_cache.h"
#include "tests/base/prng.h"
#include "tests/testing/pki_identity.h"

#define ID "spiffe://example.org/ns/default/sa/web"
#define START (PKI_NOW - 1000) // the leaf's notBefore
#define END (PKI_NOW + 1000)   // and its notAfter
#define CRL_END (PKI_NOW + 500)

struct world {
    struct pki_cert *root;
    struct pki_cert *intermediate;
    struct pki_cert *leaf;
    struct pki_cert *twin; // the same words, another certificate
    struct bundle_set *bundles;
    struct verify_cache *cache;
};

static struct world make_world(void) {
    struct world w = {.root = pki_ca()};
    w.intermediate = pki_intermediate(w.root);
    struct pki_options options = {.uris = {span_of_text(ID)},
                                  .dns = {span_of_text("web.internal")},
                                  .not_before = START,
                                  .not_after = END};
    w.leaf = pki_issue(w.intermediate, &options);
    w.twin = pki_issue(w.intermediate, &options);
    struct bundle_builder *builder = bundle_builder_new();
    assert_true(bundle_builder_add(builder, span_of_text("example.org"), pki_der(w.root), NULL));
    w.bundles = bundle_builder_finish(builder);
    w.cache = verify_cache_new(w.bundles);
    assert_non_null(w.cache);
    return w;
}

static void free_world(struct world *w) {
    verify_cache_free(w->cache);
    verify_cache_free(NULL);
    bundle_set_unref(w->bundles);
    pki_free(w->twin);
    pki_free(w->leaf);
    pki_free(w->intermediate);
    pki_free(w->root);
}

struct question {
    const struct pki_cert *leaf;
    size_t num_chain;
    enum verify_role role;
    const char *dns_name;
    int64_t now;
};

static enum verify_result ask(const struct world *w, const struct question *question,
                              struct peer *peer) {
    CRYPTO_BUFFER *chain[] = {pki_buffer(question->leaf), pki_buffer(w->intermediate),
                              pki_buffer(w->root)};
    struct verify_question full = {.chain = chain,
                                   .num_chain = question->num_chain,
                                   .role = question->role,
                                   .dns_name = span_of_text(question->dns_name),
                                   .trust_domain = span_of_text("example.org"),
                                   .now = question->now};
    return verify_cache_ask(w->cache, &full, peer, NULL);
}

static enum verify_result ask_leaf(const struct world *w, int64_t now) {
    struct peer peer;
    return ask(w, &(struct question){.leaf = w->leaf, .num_chain = 2, .now = now}, &peer);
}

static void expect_counts(const struct world *w, uint64_t hits, uint64_t misses, size_t entries) {
    struct verify_cache_counts counts = verify_cache_counts(w->cache);
    assert_int_equal(counts.hits, hits);
    assert_int_equal(counts.misses, misses);
    assert_int_equal(counts.entries, entries);
}

static void a_second_answer_is_the_same(void **state) {
    (void)state;
    struct world w = make_world();
    struct question question = {.leaf = w.leaf, .num_chain = 2, .now = PKI_NOW};
    struct peer first;
    struct peer second;
    memset(&second, 'x', sizeof second);
    assert_int_equal(ask(&w, &question, &first), VERIFY_OK);
    question.now += 10;
    assert_int_equal(ask(&w, &question, &second), VERIFY_OK);
    expect_counts(&w, 1, 1, 1);
    assert_string_equal(second.id.text, ID);
    assert_true(spiffe_id_equal(&first.id, &second.id));
    assert_int_equal(second.id.trust_domain_len, first.id.trust_domain_len);
    assert_int_equal(second.not_after, END);
    assert_string_equal(second.serial, first.serial);
    free_world(&w);
}

static void other_questions_are_verified(void **state) {
    (void)state;
    struct world w = make_world();
    const struct question questions[] = {
        {.leaf = w.leaf, .num_chain = 2, .role = VERIFY_CLIENT},
        {.leaf = w.leaf, .num_chain = 2, .role = VERIFY_SERVER},
        {.leaf = w.leaf, .num_chain = 3, .role = VERIFY_CLIENT},
        {.leaf = w.twin, .num_chain = 2, .role = VERIFY_CLIENT},
        {.leaf = w.leaf, .num_chain = 2, .role = VERIFY_SERVER, .dns_name = "web.internal"},
    };
    size_t num = sizeof questions / sizeof questions[0];
    struct peer peer;
    for (size_t i = 0; i < 2 * num; i++) {
        struct question question = questions[i % num];
        question.now = PKI_NOW;
        assert_int_equal(ask(&w, &question, &peer), VERIFY_OK);
    }
    expect_counts(&w, num, num, num);
    // A good chain for another name, and one without its intermediate, stay refused.
    struct question wrong = questions[4];
    wrong.now = PKI_NOW;
    wrong.dns_name = "db.internal";
    assert_int_equal(ask(&w, &wrong, &peer), VERIFY_WRONG_NAME);
    struct question cut = {.leaf = w.leaf, .num_chain = 1, .now = PKI_NOW};
    assert_int_equal(ask(&w, &cut, &peer), VERIFY_UNTRUSTED);
    struct question none = {.leaf = w.leaf, .num_chain = 0, .now = PKI_NOW};
    assert_int_equal(ask(&w, &none, &peer), VERIFY_NO_CERTIFICATE);
    free_world(&w);
}

static void refusals_are_not_kept(void **state) {
    (void)state;
    struct world w = make_world();
    assert_int_equal(ask_leaf(&w, END), VERIFY_EXPIRED);
    assert_int_equal(ask_leaf(&w, END), VERIFY_EXPIRED);
    expect_counts(&w, 0, 2, 0);
    assert_int_equal(ask_leaf(&w, PKI_NOW), VERIFY_OK);
    free_world(&w);
}

static void an_answer_ends_with_the_certificate(void **state) {
    (void)state;
    struct world w = make_world();
    assert_int_equal(ask_leaf(&w, PKI_NOW), VERIFY_OK);
    assert_int_equal(ask_leaf(&w, END - 1), VERIFY_OK);
    assert_int_equal(ask_leaf(&w, END), VERIFY_EXPIRED);
    assert_int_equal(ask_leaf(&w, PKI_NOW - 1), VERIFY_OK); // the clock was set back
    assert_int_equal(ask_leaf(&w, START - 1), VERIFY_NOT_YET_VALID);
    expect_counts(&w, 1, 4, 1);
    free_world(&w);
}

static void an_answer_ends_with_a_revocation_list(void **state) {
    (void)state;
    struct world unlisted = make_world();
    struct pki_bytes *crl = pki_crl(unlisted.intermediate, unlisted.twin, START, CRL_END);
    struct bundle_builder *builder = bundle_builder_new();
    assert_true(
        bundle_builder_add(builder, span_of_text("example.org"), pki_der(unlisted.root), NULL));
    assert_true(bundle_builder_add_crl(builder, pki_span(crl), NULL));
    struct world w = unlisted;
    w.bundles = bundle_builder_finish(builder);
    w.cache = verify_cache_new(w.bundles);
    assert_int_equal(ask_leaf(&w, PKI_NOW), VERIFY_OK);
    assert_int_equal(ask_leaf(&w, CRL_END - 1), VERIFY_OK);
    assert_int_equal(ask_leaf(&w, CRL_END), VERIFY_UNTRUSTED); // stale
    struct question revoked = {.leaf = w.twin, .num_chain = 2, .now = PKI_NOW};
    struct peer peer;
    assert_int_equal(ask(&w, &revoked, &peer), VERIFY_REVOKED);
    expect_counts(&w, 1, 3, 1);
    verify_cache_free(w.cache);
    bundle_set_unref(w.bundles);
    pki_bytes_free(crl);
    free_world(&unlisted);
}

// Random questions at random moments: the cache and the verifier agree.
static void it_agrees_with_the_verifier(void **state) {
    (void)state;
    struct world w = make_world();
    struct prng prng = prng_new();
    int num_ok = 0;
    for (int i = 0; i < 3000; i++) {
        bool other = prng_below(&prng, 2) == 0;
        struct question question = {.leaf = other ? w.twin : w.leaf,
                                    .num_chain = 1 + prng_below(&prng, 3),
                                    .role = (enum verify_role)prng_below(&prng, 2),
                                    .now = START - 300 + (int64_t)prng_below(&prng, 2600)};
        CRYPTO_BUFFER *chain[] = {pki_buffer(question.leaf), pki_buffer(w.intermediate),
                                  pki_buffer(w.root)};
        struct peer peer;
        struct peer again;
        enum verify_result expected =
            verify_peer(w.bundles,
                        &(struct verify_question){.chain = chain,
                                                  .num_chain = question.num_chain,
                                                  .role = question.role,
                                                  .now = question.now},
                        &peer, NULL);
        assert_int_equal(ask(&w, &question, &again), expected);
        if (expected == VERIFY_OK) {
            num_ok++;
            assert_true(spiffe_id_equal(&peer.id, &again.id));
            assert_int_equal(peer.not_after, again.not_after);
            assert_string_equal(peer.serial, again.serial);
        }
    }
    assert_in_range(num_ok, 500, 2500);
    free_world(&w);
}

static void it_is_bounded(void **state) {
    (void)state;
    struct world w = make_world();
    assert_int_equal(ask_leaf(&w, PKI_NOW), VERIFY_OK);
    struct pki_options options = {.uris = {span_of_text(ID)}, .use_key = pki_key(w.leaf)};
    struct peer peer;
    for (int i = 0; i < VERIFY_CACHE_MAX; i++) {
        OWNED(pki_free) struct pki_cert *leaf = pki_issue(w.intermediate, &options);
        struct question question = {.leaf = leaf, .num_chain = 2, .now = PKI_NOW};
        assert_int_equal(ask(&w, &question, &peer), VERIFY_OK);
    }
    expect_counts(&w, 0, VERIFY_CACHE_MAX + 1, VERIFY_CACHE_MAX);
    assert_int_equal(ask_leaf(&w, PKI_NOW), VERIFY_OK); // had gone
    expect_counts(&w, 0, VERIFY_CACHE_MAX + 2, VERIFY_CACHE_MAX);
    free_world(&w);
}

static void *use_it(void *arg) {
    const struct world *w = arg;
    int num_wrong = 0;
    for (int i = 0; i < 500; i++) {
        bool good = i % 5 != 0;
        enum verify_result expected = good ? VERIFY_OK : VERIFY_EXPIRED;
        num_wrong += ask_leaf(w, good ? PKI_NOW + i % 3 : END) != expected;
    }
    return num_wrong == 0 ? NULL : arg;
}

static void threads_share_it(void **state) {
    (void)state;
    struct world w = make_world();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, use_it, &w), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *wrong = NULL;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    free_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_answer_is_the_same),
        cmocka_unit_test(other_questions_are_verified),
        cmocka_unit_test(refusals_are_not_kept),
        cmocka_unit_test(an_answer_ends_with_the_certificate),
        cmocka_unit_test(an_answer_ends_with_a_revocation_list),
        cmocka_unit_test(it_agrees_with_the_verifier),
        cmocka_unit_test(it_is_bounded),
        cmocka_unit_test(threads_share_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
