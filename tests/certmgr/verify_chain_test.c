// From the leaf to the trust anchor: issuers, name constraints, what a chain may cost. Each row
// differs from an accepted control in the one thing it names.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/certmgr/verify_fixture.h"
#include "tests/testing/pki_identity.h"

static void test_intermediates(void **state) {
    (void)state;
    static const struct {
        const char *name;
        enum verify_result expected;
        struct pki_options options;
    } rows[] = {
        {"control", VERIFY_OK, {0}},
        {"RSA", VERIFY_OK, {.key = PKI_RSA2048}},
        {"P-384", VERIFY_OK, {.key = PKI_P384}},
        {"cA false", VERIFY_UNTRUSTED, {.basic_constraints = "critical,CA:FALSE"}},
        {"no basicConstraints", VERIFY_UNTRUSTED, {.basic_constraints = PKI_ABSENT}},
        {"no keyCertSign", VERIFY_UNTRUSTED, {.key_usage = "critical,cRLSign"}},
        {"no keyUsage", VERIFY_UNTRUSTED, {.key_usage = PKI_ABSENT}},
        {"version 1", VERIFY_UNTRUSTED, {.version1 = true}},
        {"pathlen 0", VERIFY_OK, {.basic_constraints = "critical,CA:TRUE,pathlen:0"}},
        {"P-521", VERIFY_WEAK, {.key = PKI_P521}},
        {"Ed25519", VERIFY_WEAK, {.key = PKI_ED25519}},
        {"RSA-1024", VERIFY_WEAK, {.key = PKI_RSA1024}},
        {"expired", VERIFY_EXPIRED, {.not_after = PKI_NOW}},
        {"not yet valid", VERIFY_NOT_YET_VALID, {.not_before = PKI_NOW + 1}},
        {"unknown critical extension", VERIFY_UNTRUSTED, {.unknown_extension = "critical"}},
        {"bad signature", VERIFY_UNTRUSTED, {.bad_signature = true}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        verify_fixture_expect(rows[i].name,
                              &(struct verify_fixture){.intermediate = rows[i].options},
                              rows[i].expected);
    }
}

static void test_roots(void **state) {
    (void)state;
    static const struct {
        const char *name;
        enum verify_result expected;
        struct pki_options options;
    } rows[] = {
        {"RSA", VERIFY_OK, {.key = PKI_RSA2048}},
        {"RSA-1024", VERIFY_WEAK, {.key = PKI_RSA1024}},
        {"P-224", VERIFY_WEAK, {.key = PKI_P224}},
        {"SHA-1 of itself", VERIFY_OK, {.digest = PKI_SHA1}}, // nobody relies on that signature
        {"expired", VERIFY_EXPIRED, {.not_after = PKI_NOW}},
        {"no keyUsage", VERIFY_OK, {.key_usage = PKI_ABSENT}},
        {"unknown extension", VERIFY_OK, {.unknown_extension = ""}},
        {"unknown critical extension", VERIFY_UNTRUSTED, {.unknown_extension = "critical"}},
        {"pathlen 1", VERIFY_OK, {.basic_constraints = "critical,CA:TRUE,pathlen:1"}},
        {"pathlen 0", VERIFY_UNTRUSTED, {.basic_constraints = "critical,CA:TRUE,pathlen:0"}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        verify_fixture_expect(rows[i].name, &(struct verify_fixture){.root = rows[i].options},
                              rows[i].expected);
    }
}

static void test_uri_name_constraints(void **state) {
    (void)state;
    static const struct {
        const char *constraint;
        const char *domain;
        const char *uri;
        enum verify_result expected;
    } rows[] = {
        {"permitted;URI:example.org", "example.org", "spiffe://example.org/x", VERIFY_OK},
        {"permitted;URI:example.org", "evil.org", "spiffe://evil.org/x", VERIFY_UNTRUSTED},
        {"permitted;URI:example.org", "a.example.org", "spiffe://a.example.org/x",
         VERIFY_UNTRUSTED},
        {"permitted;URI:.example.org", "a.example.org", "spiffe://a.example.org/x", VERIFY_OK},
        {"permitted;URI:.example.org", "example.org", "spiffe://example.org/x", VERIFY_UNTRUSTED},
        {"permitted;URI:a_b.org", "a_b.org", "spiffe://a_b.org/x", VERIFY_OK},
        {"permitted;URI:10.1.2.3", "10.1.2.3", "spiffe://10.1.2.3/x", VERIFY_OK},
        {"permitted;DNS:other.org", "example.org", "spiffe://example.org/x", VERIFY_OK},
        {"excluded;URI:evil.org", "example.org", "spiffe://example.org/x", VERIFY_OK},
        {"excluded;URI:evil.org", "evil.org", "spiffe://evil.org/x", VERIFY_UNTRUSTED},
        // What the library's matcher lets through; the strict parser does not.
        {"permitted;URI:example.org", "example.org", "SPIFFE://example.org/x", VERIFY_NO_SPIFFE_ID},
        {"permitted;URI:example.org", "example.org", "spiffe://EXAMPLE.org/x", VERIFY_NO_SPIFFE_ID},
        {"permitted;URI:example.org", "example.org", "spiffe://example.org:8443/x",
         VERIFY_NO_SPIFFE_ID},
        {"permitted;URI:example.org", "example.org", "spiffe://example.org:/x",
         VERIFY_NO_SPIFFE_ID},
        {"permitted;URI:example.org", "example.org", "spiffe://example.org:8443@evil.org/x",
         VERIFY_NO_SPIFFE_ID},
        {"permitted;URI:.example.org", "evil.org", "spiffe://evil.org/x.example.org:1",
         VERIFY_NO_SPIFFE_ID},
        {"excluded;URI:evil.org", "evil.org", "spiffe://evil.org/a:b", VERIFY_NO_SPIFFE_ID},
        // A trailing dot is another trust domain, of which there is no bundle.
        {"excluded;URI:evil.org", "evil.org", "spiffe://evil.org./x", VERIFY_UNKNOWN_TRUST_DOMAIN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pki_options ca = {.name_constraints = rows[i].constraint};
        struct pki_options leaf = {.uris = {span_of_text(rows[i].uri)}};
        struct verify_fixture options = {
            .intermediate = ca, .leaf = leaf, .trust_domain = rows[i].domain};
        verify_fixture_expect(rows[i].uri, &options, rows[i].expected);
        // The same from the root, which the leaf does not see.
        options.intermediate = (struct pki_options){0};
        options.root = ca;
        verify_fixture_expect(rows[i].uri, &options, rows[i].expected);
    }
}

// Unsupported by the library, and so refused (section 3.3).
static void test_ip_name_under_ip_constraint(void **state) {
    (void)state;
    static const uint8_t san[] = {0x30, 0x14, 0x86, 0x0c, 's', 'p',  'i',  'f', 'f', 'e', ':',
                                  '/',  '/',  'a',  '/',  'b', 0x87, 0x04, 10,  0,   0,   1};
    struct verify_fixture options = {.leaf = {.san_der = {san, sizeof san}}, .trust_domain = "a"};
    verify_fixture_expect("without constraint", &options, VERIFY_OK);
    options.intermediate.name_constraints = "permitted;IP:10.0.0.0/255.0.0.0";
    verify_fixture_expect("with constraint", &options, VERIFY_UNTRUSTED);
}

static void test_trust_domains_are_apart(void **state) {
    (void)state;
    struct verify_fixture foreign = {.trust_domain = "other.org"};
    verify_fixture_expect("no bundle", &foreign, VERIFY_UNKNOWN_TRUST_DOMAIN);

    // Two domains: each one's CA cannot speak for the other.
    struct pki_cert *ca_a OWNED(pki_free) = pki_ca();
    struct pki_cert *ca_b OWNED(pki_free) = pki_ca();
    struct bundle_builder *builder = bundle_builder_new();
    assert_true(bundle_builder_add(builder, span_of_text("a"), pki_der(ca_a), NULL));
    assert_true(bundle_builder_add(builder, span_of_text("b"), pki_der(ca_b), NULL));
    struct bundle_set *bundles OWNED(bundle_set_unref) = bundle_builder_finish(builder);
    struct pki_cert *leaf_a OWNED(pki_free) = pki_leaf(ca_a, "spiffe://a/x");
    struct pki_cert *leaf_b OWNED(pki_free) = pki_leaf(ca_b, "spiffe://b/x");
    struct pki_cert *forged OWNED(pki_free) = pki_leaf(ca_b, "spiffe://a/x");
    const struct pki_cert *a[] = {leaf_a};
    const struct pki_cert *b[] = {leaf_b};
    const struct pki_cert *f[] = {forged, ca_b};
    assert_int_equal(verify_fixture_certs(bundles, a, 1, NULL), VERIFY_OK);
    assert_int_equal(verify_fixture_certs(bundles, b, 1, NULL), VERIFY_OK);
    assert_int_equal(verify_fixture_certs(bundles, f, 1, NULL), VERIFY_UNTRUSTED);
    assert_int_equal(verify_fixture_certs(bundles, f, 2, NULL), VERIFY_UNTRUSTED);
}

// The signing CA, and the trust anchor itself, as an identity (class 3).
static void test_ca_as_identity(void **state) {
    (void)state;
    struct pki_options ca = {.ca = true, .uris = {span_of_text(FIXTURE_ID)}};
    ca.key_usage = "critical,digitalSignature,keyCertSign";
    struct pki_cert *root OWNED(pki_free) = pki_issue(NULL, &ca);
    struct pki_cert *intermediate OWNED(pki_free) = pki_issue(root, &ca);
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(intermediate, FIXTURE_ID);
    struct bundle_set *bundles OWNED(bundle_set_unref) = pki_bundles(FIXTURE_DOMAIN, root);
    const struct pki_cert *chain[] = {leaf, intermediate, root};
    assert_int_equal(verify_fixture_certs(bundles, chain, 2, NULL), VERIFY_OK); // control
    assert_int_equal(verify_fixture_certs(bundles, chain, 3, NULL), VERIFY_OK);
    assert_int_equal(verify_fixture_certs(bundles, chain + 1, 1, NULL), VERIFY_BAD_USAGE);
    assert_int_equal(verify_fixture_certs(bundles, chain + 1, 2, NULL), VERIFY_BAD_USAGE);
    assert_int_equal(verify_fixture_certs(bundles, chain + 2, 1, NULL), VERIFY_BAD_USAGE);
}

static void test_leaf_cannot_issue(void **state) {
    (void)state;
    struct pki_cert *root OWNED(pki_free) = pki_ca();
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(root, FIXTURE_ID);
    struct pki_cert *below OWNED(pki_free) = pki_leaf(leaf, FIXTURE_ID);
    struct pki_cert *self OWNED(pki_free) = pki_leaf(NULL, FIXTURE_ID);
    struct bundle_set *bundles OWNED(bundle_set_unref) = pki_bundles(FIXTURE_DOMAIN, root);
    const struct pki_cert *chain[] = {below, leaf};
    const struct pki_cert *self_signed[] = {self};
    assert_int_equal(verify_fixture_certs(bundles, chain + 1, 1, NULL), VERIFY_OK); // control
    assert_int_equal(verify_fixture_certs(bundles, chain, 2, NULL), VERIFY_UNTRUSTED);
    assert_int_equal(verify_fixture_certs(bundles, self_signed, 1, NULL), VERIFY_UNTRUSTED);
}

// A bundle may hold an intermediate as its anchor, and two anchors of one name.
static void test_anchors(void **state) {
    (void)state;
    struct pki_cert *root OWNED(pki_free) = pki_ca();
    struct pki_cert *intermediate OWNED(pki_free) = pki_intermediate(root);
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(intermediate, FIXTURE_ID);
    struct bundle_set *partial OWNED(bundle_set_unref) = pki_bundles(FIXTURE_DOMAIN, intermediate);
    const struct pki_cert *chain[] = {leaf, intermediate};
    assert_int_equal(verify_fixture_certs(partial, chain, 1, NULL), VERIFY_OK);
    assert_int_equal(verify_fixture_certs(partial, chain, 2, NULL), VERIFY_OK);

    for (int no_key_ids = 0; no_key_ids < 2; no_key_ids++) {
        struct pki_options ca = {.ca = true, .common_name = "CA", .no_key_ids = no_key_ids != 0};
        struct pki_options leaf_options = {.uris = {span_of_text(FIXTURE_ID)},
                                           .no_key_ids = no_key_ids != 0};
        struct pki_cert *old OWNED(pki_free) = pki_issue(NULL, &ca);
        struct pki_cert *renewed OWNED(pki_free) = pki_issue(NULL, &ca);
        struct pki_cert *leaf_old OWNED(pki_free) = pki_issue(old, &leaf_options);
        struct pki_cert *leaf_new OWNED(pki_free) = pki_issue(renewed, &leaf_options);
        const struct pki_cert *both[] = {old, renewed};
        struct pki_bytes *der OWNED(pki_bytes_free) = pki_concat(both, 2);
        struct bundle_builder *builder = bundle_builder_new();
        assert_true(bundle_builder_add(builder, span_of_text(FIXTURE_DOMAIN), pki_span(der), NULL));
        struct bundle_set *bundles OWNED(bundle_set_unref) = bundle_builder_finish(builder);
        const struct pki_cert *leaves[] = {leaf_old, leaf_new};
        assert_int_equal(verify_fixture_certs(bundles, leaves, 1, NULL), VERIFY_OK);
        assert_int_equal(verify_fixture_certs(bundles, leaves + 1, 1, NULL), VERIFY_OK);
    }
}

static enum verify_result verify_depth(size_t num_intermediates) {
    struct pki_cert *certs[24] = {NULL};
    certs[0] = pki_ca();
    for (size_t i = 1; i <= num_intermediates; i++) {
        certs[i] = pki_intermediate(certs[i - 1]);
    }
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(certs[num_intermediates], FIXTURE_ID);
    struct bundle_set *bundles OWNED(bundle_set_unref) = pki_bundles(FIXTURE_DOMAIN, certs[0]);
    const struct pki_cert *chain[24] = {leaf};
    for (size_t i = 0; i < num_intermediates; i++) {
        chain[1 + i] = certs[num_intermediates - i];
    }
    enum verify_result result = verify_fixture_certs(bundles, chain, 1 + num_intermediates, NULL);
    for (size_t i = 0; i < 24; i++) {
        pki_free(certs[i]);
    }
    return result;
}

static void test_depth(void **state) {
    (void)state;
    assert_int_equal(verify_depth(9), VERIFY_OK);
    assert_int_equal(verify_depth(10), VERIFY_UNTRUSTED);
    assert_int_equal(verify_depth(15), VERIFY_UNTRUSTED);
    assert_int_equal(verify_depth(16), VERIFY_TOO_LARGE); // 17 certificates
}

// A leaf with `size` bytes of DNS names beside its ID.
static enum verify_result verify_large(size_t num_names) {
    struct pki_cert *root OWNED(pki_free) = pki_ca();
    struct bundle_set *bundles OWNED(bundle_set_unref) = pki_bundles("a", root);
    static const uint8_t uri[] = {0x86, 0x0c, 's', 'p', 'i', 'f', 'f',
                                  'e',  ':',  '/', '/', 'a', '/', 'b'};
    size_t len = sizeof uri + num_names * 4;
    uint8_t *san = calloc(1, len + 5);
    assert_non_null(san);
    const uint8_t head[] = {0x30, 0x83, (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};
    bool short_form = len <= 0xffff; // DER wants the shortest length
    size_t head_len = short_form ? 4 : 5;
    memcpy(san, head, 2);
    san[1] = short_form ? 0x82 : 0x83;
    memcpy(san + 2, head + (short_form ? 3 : 2), head_len - 2);
    memcpy(san + head_len, uri, sizeof uri);
    for (size_t i = 0; i < num_names; i++) {
        memcpy(san + head_len + sizeof uri + 4 * i, "\x82\x02xy", 4);
    }
    struct pki_options options = {.san_der = {san, head_len + len}};
    struct pki_cert *leaf OWNED(pki_free) = pki_issue(root, &options);
    free(san);
    const struct pki_cert *chain[] = {leaf};
    return verify_fixture_certs(bundles, chain, 1, NULL);
}

static void test_size(void **state) {
    (void)state;
    assert_int_equal(verify_large(100), VERIFY_OK);
    assert_int_equal(verify_large(10000), VERIFY_OK); // 40 kB: ugly, but bounded
    assert_int_equal(verify_large(16384), VERIFY_TOO_LARGE);
    assert_int_equal(verify_large(250000), VERIFY_TOO_LARGE);
}

// Keys are judged before any signature is checked, so also of certificates that nobody needs.
static void test_unneeded_certificates(void **state) {
    (void)state;
    struct pki_cert *root OWNED(pki_free) = pki_ca();
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(root, FIXTURE_ID);
    struct pki_cert *stranger OWNED(pki_free) = pki_ca();
    struct pki_cert *huge OWNED(pki_free) =
        pki_issue(stranger, &(struct pki_options){.ca = true, .key = PKI_RSA8192});
    struct bundle_set *bundles OWNED(bundle_set_unref) = pki_bundles(FIXTURE_DOMAIN, root);
    const struct pki_cert *harmless[] = {leaf, stranger};
    const struct pki_cert *costly[] = {leaf, huge};
    assert_int_equal(verify_fixture_certs(bundles, harmless, 2, NULL), VERIFY_OK);
    assert_int_equal(verify_fixture_certs(bundles, costly, 2, NULL), VERIFY_WEAK);
}

static void test_no_certificate_and_garbage(void **state) {
    (void)state;
    struct pki_cert *root OWNED(pki_free) = pki_ca();
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(root, FIXTURE_ID);
    struct bundle_set *bundles OWNED(bundle_set_unref) = pki_bundles(FIXTURE_DOMAIN, root);
    struct err err = {0};
    assert_int_equal(verify_fixture_certs(bundles, NULL, 0, &err), VERIFY_NO_CERTIFICATE);
    struct span der = pki_der(leaf);
    for (size_t len = 0; len < der.len; len++) {
        CRYPTO_BUFFER *buffer = CRYPTO_BUFFER_new(der.ptr, len, NULL);
        struct peer peer;
        enum verify_result result = verify_peer(
            bundles,
            &(struct verify_question){
                .chain = &buffer, .num_chain = 1, .role = VERIFY_CLIENT, .now = PKI_NOW},
            &peer, &err);
        CRYPTO_BUFFER_free(buffer);
        assert_int_equal(result, VERIFY_MALFORMED);
    }
    const struct pki_cert *twice[] = {leaf, leaf};
    struct pki_bytes *trailing OWNED(pki_bytes_free) = pki_concat(twice, 2);
    CRYPTO_BUFFER *buffer = CRYPTO_BUFFER_new(trailing->ptr, trailing->len, NULL);
    struct peer peer;
    assert_int_equal(
        verify_peer(bundles,
                    &(struct verify_question){
                        .chain = &buffer, .num_chain = 1, .role = VERIFY_CLIENT, .now = PKI_NOW},
                    &peer, NULL),
        VERIFY_MALFORMED);
    CRYPTO_BUFFER_free(buffer);
}

// Every single-bit flip of a good leaf is refused, or it is the same certificate to a verifier.
static void test_bit_flips(void **state) {
    (void)state;
    struct pki_cert *root OWNED(pki_free) = pki_ca();
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(root, FIXTURE_ID);
    struct bundle_set *bundles OWNED(bundle_set_unref) = pki_bundles(FIXTURE_DOMAIN, root);
    const struct pki_cert *chain[] = {leaf};
    assert_int_equal(verify_fixture_certs(bundles, chain, 1, NULL), VERIFY_OK); // control
    struct pki_bytes *copy OWNED(pki_bytes_free) = pki_concat(chain, 1);
    for (size_t bit = 0; bit < copy->len * 8; bit += 3) {
        copy->ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        CRYPTO_BUFFER *buffer = CRYPTO_BUFFER_new(copy->ptr, copy->len, NULL);
        struct peer peer;
        if (verify_peer(
                bundles,
                &(struct verify_question){
                    .chain = &buffer, .num_chain = 1, .role = VERIFY_CLIENT, .now = PKI_NOW},
                &peer, NULL) == VERIFY_OK) {
            fail_msg("accepted with bit %zu flipped", bit);
        }
        CRYPTO_BUFFER_free(buffer);
        copy->ptr[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_intermediates),
        cmocka_unit_test(test_roots),
        cmocka_unit_test(test_uri_name_constraints),
        cmocka_unit_test(test_ip_name_under_ip_constraint),
        cmocka_unit_test(test_trust_domains_are_apart),
        cmocka_unit_test(test_ca_as_identity),
        cmocka_unit_test(test_leaf_cannot_issue),
        cmocka_unit_test(test_anchors),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_unneeded_certificates),
        cmocka_unit_test(test_no_certificate_and_garbage),
        cmocka_unit_test(test_bit_flips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
