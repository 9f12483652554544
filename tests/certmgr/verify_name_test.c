// Servers that are verified by DNS name (RFC 6125), against the bundle of a given trust domain.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "certmgr/leaf_rules.h"
#include "tests/certmgr/verify_fixture.h"
#include "tests/testing/pki_identity.h"

#define TEXT(literal)                                                                              \
    { (const uint8_t *)(literal), sizeof(literal) - 1 }

static enum verify_result verify_leaf(const struct pki_options *leaf_options, const char *domain,
                                      const char *name, struct peer *peer) {
    struct pki_cert *root OWNED(pki_free) = pki_ca();
    struct pki_cert *leaf OWNED(pki_free) = pki_issue(root, leaf_options);
    struct bundle_set *bundles OWNED(bundle_set_unref) = pki_bundles(FIXTURE_DOMAIN, root);
    CRYPTO_BUFFER *chain[] = {pki_buffer(leaf)};
    struct err err = {0};
    enum verify_result result =
        verify_peer(bundles,
                    &(struct verify_question){.chain = chain,
                                              .num_chain = 1,
                                              .role = VERIFY_SERVER,
                                              .dns_name = span_of_text(name),
                                              .trust_domain = span_of_text(domain),
                                              .now = PKI_NOW},
                    peer, &err);
    assert_int_equal(result == VERIFY_OK, err.msg[0] == '\0');
    return result;
}

static void test_names(void **state) {
    (void)state;
    static const struct {
        struct span san;
        const char *name;
        bool expected;
    } rows[] = {
        {TEXT("a.example.org"), "a.example.org", true},
        {TEXT("a.example.org"), "A.Example.ORG", true},
        {TEXT("A.EXAMPLE.ORG"), "a.example.org", true},
        {TEXT("a.example.org"), "a.example.org.", true},
        {TEXT("localhost"), "localhost", true},
        {TEXT("a_b.svc"), "a_b.svc", true},
        {TEXT("a.example.org"), "b.example.org", false},
        {TEXT("a.example.org"), "example.org", false},
        {TEXT("a.example.org"), "x.a.example.org", false},
        {TEXT("a.example.org"), "", false},
        {TEXT("a.example.org"), ".", false},
        {TEXT("*.example.org"), "a.example.org", true},
        {TEXT("*.example.org"), "A.EXAMPLE.org", true},
        {TEXT("*.example.org"), "example.org", false},
        {TEXT("*.example.org"), ".example.org", false},
        {TEXT("*.example.org"), "a.b.example.org", false},
        {TEXT("*.org"), "example.org", false}, // a whole top-level domain
        {TEXT("*."), "a.", false},
        {TEXT("*"), "a", false},
        {TEXT("a*.example.org"), "ab.example.org", false},
        {TEXT("*a.example.org"), "ba.example.org", false},
        {TEXT("a.*.org"), "a.example.org", false},
        {TEXT("*.*.org"), "a.example.org", false},
        {TEXT("a.example.org\0.evil.org"), "a.example.org", false},
        {TEXT("*.example.org\0"), "a.example.org", false},
        {TEXT("*.example.org"), "*.example.org", false},
        {TEXT(""), "", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pki_options leaf = {.dns = {rows[i].san}};
        struct peer peer;
        enum verify_result result = verify_leaf(&leaf, FIXTURE_DOMAIN, rows[i].name, &peer);
        if (result != (rows[i].expected ? VERIFY_OK : VERIFY_WRONG_NAME)) {
            fail_msg("%s for %s: %s", (const char *)rows[i].san.ptr, rows[i].name,
                     verify_result_name(result));
        }
        assert_true(result != VERIFY_OK || peer.id.len == 0);
    }
}

static void test_only_dns_sans_count(void **state) {
    (void)state;
    struct pki_options good = {.dns = {TEXT("x"), TEXT("a.b")}};
    struct pki_options subject = {.common_name = "a.b"};
    struct pki_options uri = {.uris = {TEXT("a.b")}};
    struct pki_options email = {.emails = {TEXT("a.b")}};
    struct peer peer;
    assert_int_equal(verify_leaf(&good, FIXTURE_DOMAIN, "a.b", &peer), VERIFY_OK);
    assert_int_equal(verify_leaf(&subject, FIXTURE_DOMAIN, "a.b", &peer), VERIFY_WRONG_NAME);
    assert_int_equal(verify_leaf(&uri, FIXTURE_DOMAIN, "a.b", &peer), VERIFY_WRONG_NAME);
    assert_int_equal(verify_leaf(&email, FIXTURE_DOMAIN, "a.b", &peer), VERIFY_WRONG_NAME);
}

static void test_rules(void **state) {
    (void)state;
    static const struct {
        const char *name;
        enum verify_result expected;
        struct pki_options leaf;
    } rows[] = {
        {"control", VERIFY_OK, {0}},
        {"no keyUsage", VERIFY_OK, {.key_usage = PKI_ABSENT}},
        {"keyUsage not critical", VERIFY_OK, {.key_usage = "digitalSignature"}},
        {"serverAuth", VERIFY_OK, {.extended_key_usage = "serverAuth"}},
        {"clientAuth", VERIFY_BAD_USAGE, {.extended_key_usage = "clientAuth"}},
        {"keyEncipherment", VERIFY_BAD_USAGE, {.key_usage = "critical,keyEncipherment"}},
        {"keyCertSign", VERIFY_BAD_USAGE, {.key_usage = "digitalSignature,keyCertSign"}},
        {"CA", VERIFY_BAD_USAGE, {.basic_constraints = "CA:TRUE"}},
        {"version 1", VERIFY_BAD_USAGE, {.version1 = true}},
        {"expired", VERIFY_EXPIRED, {.not_after = PKI_NOW}},
        {"weak", VERIFY_WEAK, {.key = PKI_RSA1024}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pki_options leaf = rows[i].leaf;
        leaf.dns[0] = span_of_text("a.b");
        struct peer peer;
        enum verify_result result = verify_leaf(&leaf, FIXTURE_DOMAIN, "a.b", &peer);
        if (result != rows[i].expected) {
            fail_msg("%s: %s", rows[i].name, verify_result_name(result));
        }
    }
    struct pki_options good = {.dns = {TEXT("a.b")}};
    struct peer peer;
    assert_int_equal(verify_leaf(&good, "other.org", "a.b", &peer), VERIFY_UNKNOWN_TRUST_DOMAIN);
    assert_int_equal(verify_leaf(&good, "", "a.b", &peer), VERIFY_UNKNOWN_TRUST_DOMAIN);
}

static void test_id_is_told_when_valid(void **state) {
    (void)state;
    struct pki_options own = {.dns = {TEXT("a.b")}, .uris = {TEXT(FIXTURE_ID)}};
    struct pki_options foreign = {.dns = {TEXT("a.b")}, .uris = {TEXT("spiffe://other.org/x")}};
    struct pki_options bad = {.dns = {TEXT("a.b")}, .uris = {TEXT("spiffe://example.org/")}};
    struct peer peer;
    assert_int_equal(verify_leaf(&own, FIXTURE_DOMAIN, "a.b", &peer), VERIFY_OK);
    assert_string_equal(peer.id.text, FIXTURE_ID);
    // Another domain's ID, vouched for by this domain's CA, is worth nothing.
    assert_int_equal(verify_leaf(&foreign, FIXTURE_DOMAIN, "a.b", &peer), VERIFY_OK);
    assert_int_equal(peer.id.len, 0);
    assert_int_equal(verify_leaf(&bad, FIXTURE_DOMAIN, "a.b", &peer), VERIFY_OK);
    assert_int_equal(peer.id.len, 0);
}

static void test_texts(void **state) {
    (void)state;
    for (int result = 0; result < VERIFY_RESULT_COUNT; result++) {
        assert_true(strlen(verify_result_name((enum verify_result)result)) > 1);
        assert_true(strlen(verify_result_sentence((enum verify_result)result)) > 1);
    }
    assert_string_equal(verify_result_name(VERIFY_REVOKED), "revoked");
}

static void test_addresses(void **state) {
    (void)state;
    // 192.0.2.1, an address of no family, and the first half of an IPv6 address as a DNS name.
    static const uint8_t v4[] = {0x30, 0x0d, 0x87, 0x04, 192, 0,   2,  1,
                                 0x87, 0x00, 0x82, 0x03, ':', ':', '1'};
    static const uint8_t v6[] = {0x30, 0x12, 0x87, 0x10, 0x20, 0x01, 0x0d, 0xb8, 0, 0,
                                 0,    0,    0,    0,    0,    0,    0,    0,    0, 1};
    static const struct {
        const uint8_t *san;
        size_t len;
        const char *addr;
        bool expected;
    } rows[] = {
        {v4, sizeof v4, "192.0.2.1", true},    {v4, sizeof v4, "192.0.2.2", false},
        {v4, sizeof v4, "::1", false},         {v6, sizeof v6, "2001:db8::1", true},
        {v6, sizeof v6, "2001:db8::2", false}, {v6, sizeof v6, "32.1.13.184", false},
        {NULL, 0, "192.0.2.1", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pki_options options = {.san_der = span_of(rows[i].san, rows[i].len)};
        struct pki_cert *leaf OWNED(pki_free) = pki_issue(NULL, &options);
        struct netaddr addr;
        assert_true(netaddr_parse_ip(&addr, span_of_text(rows[i].addr), NULL));
        assert_int_equal(leaf_rules_has_address(pki_x509(leaf), &addr), rows[i].expected);
    }
    struct pki_options options = {.san_der = span_of(v4, sizeof v4)};
    struct pki_cert *leaf OWNED(pki_free) = pki_issue(NULL, &options);
    assert_false(leaf_rules_has_address(pki_x509(leaf), &(struct netaddr){0}));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names), cmocka_unit_test(test_only_dns_sans_count),
        cmocka_unit_test(test_rules), cmocka_unit_test(test_id_is_told_when_valid),
        cmocka_unit_test(test_texts), cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
