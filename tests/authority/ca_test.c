// The CA: what it issues passes an independent verifier (the openssl tool) and our own, and a
// renewal never leaves a peer behind. Time is given, so years pass in a moment.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/pool.h>

#include "authority/ca.h"
#include "base/err.h"
#include "base/own.h"
#include "certmgr/bundle.h"
#include "certmgr/svid.h"
#include "certmgr/verify.h"
#include "tests/authority/temp_dir.h"

#define TD "example.org"
#define ID "spiffe://example.org/ns/default/sa/web"

static struct ca *make_ca(int64_t lifetime_s, int64_t now) {
    struct err err = {0};
    const struct ca_policy policy = {.trust_domain = TD, .lifetime_s = lifetime_s};
    struct ca *ca = ca_new(policy, now, &err);
    if (ca == NULL) {
        fail_msg("%s", err.msg);
    }
    return ca;
}

static struct bundle_set *bundle_of(const struct ca *ca) {
    struct err err = {0};
    struct buf der __attribute__((cleanup(buf_fini))) = {0};
    struct bundle_builder *builder = bundle_builder_new();
    assert_non_null(builder);
    assert_true(ca_bundle(ca, &der, &err));
    if (!bundle_builder_add(builder, span_of_text(TD), buf_span(&der), &err)) {
        fail_msg("%s", err.msg);
    }
    return bundle_builder_finish(builder);
}

static enum verify_result judge(const struct bundle_set *bundles, const struct ca_leaf *leaf,
                                int64_t now, struct peer *peer) {
    struct err err = {0};
    struct span der = buf_span(&leaf->chain);
    CRYPTO_BUFFER *cert = CRYPTO_BUFFER_new(der.ptr, der.len, NULL);
    CRYPTO_BUFFER *chain[] = {cert};
    enum verify_result as_client =
        verify_peer(bundles,
                    &(struct verify_question){
                        .chain = chain, .num_chain = 1, .role = VERIFY_CLIENT, .now = now},
                    peer, &err);
    enum verify_result as_server =
        verify_peer(bundles,
                    &(struct verify_question){
                        .chain = chain, .num_chain = 1, .role = VERIFY_SERVER, .now = now},
                    peer, &err);
    CRYPTO_BUFFER_free(cert);
    return as_client == VERIFY_OK ? as_server : as_client;
}

static bool issue(const struct ca *ca, int64_t now, int64_t not_after, struct ca_leaf *out) {
    struct err err = {0};
    const struct ca_subject subject = {.spiffe_id = ID};
    const struct ca_period period = {.now = now, .not_after = not_after};
    return ca_issue(ca, subject, period, out, &err);
}

static void run(const char *command, char *out, size_t max) {
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t len = fread(out, 1, max - 1, pipe);
    out[len] = '\0';
    if (pclose(pipe) != 0) {
        fail_msg("%s: %s", command, out);
    }
}

static void assert_says(const char *text, const char *part) {
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" is not in: %s", part, text);
    }
}

// The tool is another implementation: it must agree that this is a chain, and what is in it.
static void test_openssl_agrees(void **state) {
    (void)state;
    int64_t now = (int64_t)time(NULL);
    struct err err = {0};
    struct temp_dir dir __attribute__((cleanup(temp_dir_fini)));
    struct ca_leaf leaf __attribute__((cleanup(ca_leaf_fini))) = {0};
    struct buf root __attribute__((cleanup(buf_fini))) = {0};
    char path[TEMP_PATH_MAX];
    char command[1024];
    static char out[16384];
    OWNED(ca_free) struct ca *ca = make_ca(CA_LIFETIME_S, now);
    temp_dir_init(&dir);
    assert_true(issue(ca, now, now + 3600, &leaf));
    assert_true(ca_bundle(ca, &root, &err));
    temp_dir_write(&dir, "root.der", buf_span(&root).ptr, buf_span(&root).len, path);
    temp_dir_write(&dir, "leaf.der", buf_span(&leaf.chain).ptr, buf_span(&leaf.chain).len, path);
    temp_dir_write(&dir, "key.der", buf_span(&leaf.key).ptr, buf_span(&leaf.key).len, path);
    (void)snprintf(command, sizeof(command),
                   "cd %s && openssl x509 -inform DER -in root.der -out root.pem 2>&1 &&"
                   "openssl x509 -inform DER -in leaf.der -out leaf.pem 2>&1 &&"
                   "openssl verify -x509_strict -purpose sslserver -CAfile root.pem leaf.pem 2>&1"
                   "&& openssl verify -x509_strict -purpose sslclient -CAfile root.pem leaf.pem",
                   dir.path);
    run(command, out, sizeof(out));
    (void)snprintf(command, sizeof(command), "cd %s && openssl x509 -in leaf.pem -noout -text",
                   dir.path);
    run(command, out, sizeof(out));
    assert_says(out, "Version: 3 (0x2)");
    assert_says(out, "prime256v1");
    assert_says(out, "ecdsa-with-SHA256");
    assert_says(out, "X509v3 Key Usage: critical\n                Digital Signature\n");
    assert_says(out, "TLS Web Server Authentication, TLS Web Client Authentication\n");
    assert_says(out, "X509v3 Basic Constraints: critical\n                CA:FALSE\n");
    assert_says(out, "URI:" ID "\n");
    (void)snprintf(command, sizeof(command), "cd %s && openssl x509 -in root.pem -noout -text",
                   dir.path);
    run(command, out, sizeof(out));
    assert_says(out, "X509v3 Basic Constraints: critical\n                CA:TRUE");
    assert_says(out, "X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign\n");
    assert_says(out, "URI:spiffe://" TD "\n");
    // The key belongs to the leaf.
    (void)snprintf(command, sizeof(command),
                   "cd %s && openssl pkey -inform DER -in key.der -pubout > a &&"
                   "openssl x509 -in leaf.pem -noout -pubkey > b && cmp a b && head -1 a",
                   dir.path);
    run(command, out, sizeof(out));
    assert_says(out, "BEGIN PUBLIC KEY");
}

static void test_own_rules_agree(void **state) {
    (void)state;
    int64_t now = (int64_t)time(NULL);
    struct err err = {0};
    struct peer peer;
    struct ca_leaf leaf __attribute__((cleanup(ca_leaf_fini))) = {0};
    OWNED(ca_free) struct ca *ca = make_ca(CA_LIFETIME_S, now);
    OWNED(ca_free) struct ca *other = make_ca(CA_LIFETIME_S, now);
    OWNED(bundle_set_unref) struct bundle_set *bundles = bundle_of(ca);
    OWNED(bundle_set_unref) struct bundle_set *others = bundle_of(other);
    assert_true(issue(ca, now, now + 60, &leaf));
    OWNED(svid_unref)
    struct svid *svid = svid_parse(buf_span(&leaf.chain), buf_span(&leaf.key), span_of_text(ID),
                                   span_of_text(""), &err);
    if (svid == NULL) {
        fail_msg("%s", err.msg);
    }
    assert_string_equal(svid_serial(svid), leaf.serial);
    assert_int_equal(svid_not_after(svid), now + 60);
    assert_int_equal(leaf.not_after, now + 60);
    assert_true(svid_not_before(svid) < now);
    assert_int_equal(judge(bundles, &leaf, now, &peer), VERIFY_OK);
    assert_string_equal(peer.id.text, ID);
    assert_int_equal(judge(bundles, &leaf, now + 61, &peer), VERIFY_EXPIRED);
    assert_int_equal(judge(others, &leaf, now, &peer), VERIFY_UNTRUSTED);
}

static void test_each_is_fresh(void **state) {
    (void)state;
    int64_t now = (int64_t)time(NULL);
    struct ca_leaf one __attribute__((cleanup(ca_leaf_fini))) = {0};
    struct ca_leaf two __attribute__((cleanup(ca_leaf_fini))) = {0};
    OWNED(ca_free) struct ca *ca = make_ca(CA_LIFETIME_S, now);
    assert_true(issue(ca, now, now + 60, &one));
    assert_true(issue(ca, now, now + 60, &two));
    assert_string_not_equal(one.serial, two.serial);
    assert_true(strlen(one.serial) >= 16); // at least 64 bits
    assert_false(span_equal(buf_span(&one.key), buf_span(&two.key)));
}

// A leaf never outlives its root.
static void test_leaf_ends_with_root(void **state) {
    (void)state;
    int64_t now = (int64_t)time(NULL);
    struct ca_leaf leaf __attribute__((cleanup(ca_leaf_fini))) = {0};
    OWNED(ca_free) struct ca *ca = make_ca(1000, now);
    assert_true(issue(ca, now, now + 5000, &leaf));
    assert_int_equal(leaf.not_after, now + 1000);
}

#define LIFETIME 60000
#define STEP 500
#define LAG 18 // steps: a peer may be that far behind (a little less than a sixth of the life)

// Through ten lives of a root: what is issued now verifies with a bundle that is LAG steps old, and
// what was issued LAG steps ago with the bundle of now.
static void test_renewal_overlaps(void **state) {
    (void)state;
    int64_t start = (int64_t)time(NULL);
    struct bundle_set *bundles[LAG] = {0};
    struct ca_leaf leaves[LAG] = {0};
    size_t num_changes = 0;
    OWNED(ca_free) struct ca *ca = make_ca(LIFETIME, start);
    for (size_t i = 0; i < 10 * LIFETIME / STEP; i++) {
        int64_t now = start + (int64_t)i * STEP;
        size_t slot = i % LAG;
        struct err err = {0};
        struct peer peer;
        struct ca_leaf leaf = {0};
        bool changed = false;
        assert_true(ca_maintain(ca, now, &changed, &err));
        num_changes += changed ? 1 : 0;
        assert_true(issue(ca, now, now + (LAG + 1) * STEP, &leaf));
        struct bundle_set *bundle = bundle_of(ca);
        assert_int_equal(judge(bundle, &leaf, now, &peer), VERIFY_OK);
        if (i >= LAG) {
            assert_int_equal(judge(bundles[slot], &leaf, now, &peer), VERIFY_OK);
            assert_int_equal(judge(bundle, &leaves[slot], now, &peer), VERIFY_OK);
        }
        bundle_set_unref(bundles[slot]);
        ca_leaf_fini(&leaves[slot]);
        bundles[slot] = bundle;
        leaves[slot] = leaf;
    }
    for (size_t i = 0; i < LAG; i++) {
        bundle_set_unref(bundles[i]);
        ca_leaf_fini(&leaves[i]);
    }
    assert_in_range(num_changes, 20, 40); // a root comes and goes about every two thirds of a life
}

// The clock jumps: forward past every root, and back before the youngest one.
static void test_clock_jumps(void **state) {
    (void)state;
    int64_t start = (int64_t)time(NULL);
    const int64_t moments[] = {start, start + 40 * LIFETIME, start + 39 * LIFETIME, start};
    OWNED(ca_free) struct ca *ca = make_ca(LIFETIME, start);
    for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
        struct err err = {0};
        struct peer peer;
        bool changed = false;
        struct ca_leaf leaf __attribute__((cleanup(ca_leaf_fini))) = {0};
        assert_true(ca_maintain(ca, moments[i], &changed, &err));
        assert_int_equal(changed, i > 0);
        assert_true(issue(ca, moments[i], moments[i] + 60, &leaf));
        OWNED(bundle_set_unref) struct bundle_set *bundles = bundle_of(ca);
        assert_int_equal(judge(bundles, &leaf, moments[i], &peer), VERIFY_OK);
        assert_true(ca_maintain(ca, moments[i], &changed, &err));
        assert_false(changed); // it settles
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openssl_agrees),   cmocka_unit_test(test_own_rules_agree),
        cmocka_unit_test(test_each_is_fresh),    cmocka_unit_test(test_leaf_ends_with_root),
        cmocka_unit_test(test_renewal_overlaps), cmocka_unit_test(test_clock_jumps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
