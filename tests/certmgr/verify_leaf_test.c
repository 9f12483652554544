// What a leaf must be (SPIFFE X509-SVID, and what path validation lets pass). Each row differs from
// the control, which is accepted, in the one thing it names.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/certmgr/verify_fixture.h"

#define TEXT(literal)                                                                              \
    { (const uint8_t *)(literal), sizeof(literal) - 1 }

static void test_control(void **state) {
    (void)state;
    verify_fixture_expect("control", &(struct verify_fixture){0}, VERIFY_OK);
    verify_fixture_expect("without intermediate", &(struct verify_fixture){.no_intermediate = true},
                          VERIFY_OK);
}

static void test_usage(void **state) {
    (void)state;
    static const struct {
        const char *name;
        enum verify_result expected;
        struct pki_options leaf;
    } rows[] = {
        {"no basicConstraints", VERIFY_OK, {.basic_constraints = PKI_ABSENT}},
        {"CA:TRUE", VERIFY_BAD_USAGE, {.basic_constraints = "critical,CA:TRUE"}},
        {"CA:TRUE, not critical", VERIFY_BAD_USAGE, {.basic_constraints = "CA:TRUE"}},
        {"no keyUsage", VERIFY_BAD_USAGE, {.key_usage = PKI_ABSENT}},
        {"keyUsage not critical", VERIFY_BAD_USAGE, {.key_usage = "digitalSignature"}},
        {"keyEncipherment too",
         VERIFY_OK,
         {.key_usage = "critical,digitalSignature,keyEncipherment"}},
        {"keyAgreement too", VERIFY_OK, {.key_usage = "critical,digitalSignature,keyAgreement"}},
        {"keyAgreement only", VERIFY_BAD_USAGE, {.key_usage = "critical,keyAgreement"}},
        {"keyEncipherment only", VERIFY_BAD_USAGE, {.key_usage = "critical,keyEncipherment"}},
        {"keyCertSign", VERIFY_BAD_USAGE, {.key_usage = "critical,digitalSignature,keyCertSign"}},
        {"cRLSign", VERIFY_BAD_USAGE, {.key_usage = "critical,digitalSignature,cRLSign"}},
        {"no EKU", VERIFY_OK, {.extended_key_usage = PKI_ABSENT}},
        {"another EKU", VERIFY_BAD_USAGE, {.extended_key_usage = "codeSigning"}},
        {"name constraints", VERIFY_BAD_USAGE, {.name_constraints = "permitted;URI:example.org"}},
        {"unknown extension", VERIFY_OK, {.unknown_extension = ""}},
        {"unknown critical extension", VERIFY_UNTRUSTED, {.unknown_extension = "critical"}},
        {"empty subject", VERIFY_OK, {.common_name = ""}},
        {"bad signature", VERIFY_UNTRUSTED, {.bad_signature = true}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        verify_fixture_expect(rows[i].name, &(struct verify_fixture){.leaf = rows[i].leaf},
                              rows[i].expected);
    }
}

static void test_extended_key_usage_is_per_role(void **state) {
    (void)state;
    struct verify_fixture client = {.leaf = {.extended_key_usage = "clientAuth"}};
    struct verify_fixture server = {.leaf = {.extended_key_usage = "serverAuth"}};
    assert_int_equal(verify_fixture_run(&client, VERIFY_CLIENT, NULL, NULL), VERIFY_OK);
    assert_int_equal(verify_fixture_run(&client, VERIFY_SERVER, NULL, NULL), VERIFY_BAD_USAGE);
    assert_int_equal(verify_fixture_run(&server, VERIFY_SERVER, NULL, NULL), VERIFY_OK);
    assert_int_equal(verify_fixture_run(&server, VERIFY_CLIENT, NULL, NULL), VERIFY_BAD_USAGE);
}

static void test_version1(void **state) {
    (void)state;
    // It cannot carry a SAN, so it has no ID either way.
    verify_fixture_expect("v1", &(struct verify_fixture){.leaf = {.version1 = true}},
                          VERIFY_NO_SPIFFE_ID);
}

static void test_keys(void **state) {
    (void)state;
    static const struct {
        enum pki_key key;
        enum verify_result expected;
    } rows[] = {
        {PKI_P256, VERIFY_OK},      {PKI_P384, VERIFY_OK},     {PKI_RSA2048, VERIFY_OK},
        {PKI_RSA4096, VERIFY_OK},   {PKI_P224, VERIFY_WEAK},   {PKI_P521, VERIFY_WEAK},
        {PKI_ED25519, VERIFY_WEAK}, {PKI_RSA512, VERIFY_WEAK}, {PKI_RSA1024, VERIFY_WEAK},
        {PKI_RSA8192, VERIFY_WEAK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char name[] = "key 0";
        name[4] = (char)('0' + rows[i].key);
        verify_fixture_expect(name, &(struct verify_fixture){.leaf = {.key = rows[i].key}},
                              rows[i].expected);
    }
}

static void test_digests(void **state) {
    (void)state;
    static const struct {
        enum pki_digest digest;
        enum verify_result expected;
    } rows[] = {
        {PKI_SHA256, VERIFY_OK},
        {PKI_SHA384, VERIFY_OK},
        {PKI_SHA512, VERIFY_OK},
        {PKI_SHA1, VERIFY_WEAK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pki_options weak = {.digest = rows[i].digest};
        verify_fixture_expect("leaf digest", &(struct verify_fixture){.leaf = weak},
                              rows[i].expected);
        verify_fixture_expect("intermediate digest", &(struct verify_fixture){.intermediate = weak},
                              rows[i].expected);
        struct pki_options rsa = {.key = PKI_RSA2048};
        verify_fixture_expect("leaf digest, RSA",
                              &(struct verify_fixture){.leaf = weak, .intermediate = rsa},
                              rows[i].expected);
    }
}

static void test_times(void **state) {
    (void)state;
    struct verify_fixture options = {
        .leaf = {.not_before = PKI_NOW - 100, .not_after = PKI_NOW + 100}};
    static const struct {
        int64_t now;
        enum verify_result expected;
    } rows[] = {
        {PKI_NOW, VERIFY_OK},
        {PKI_NOW - 100, VERIFY_OK},
        {PKI_NOW - 101, VERIFY_NOT_YET_VALID},
        {PKI_NOW + 99, VERIFY_OK},
        {PKI_NOW + 100, VERIFY_EXPIRED},
        {PKI_NOW + 101, VERIFY_EXPIRED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        options.now = rows[i].now;
        verify_fixture_expect("time", &options, rows[i].expected);
    }
}

// The ID as any other kind of name is no ID (class 2).
static void test_other_names_are_no_id(void **state) {
    (void)state;
    static const uint8_t other_name[] = {0x30, 0x16, 0xa0, 0x14, 0x06, 0x04, 0x2b, 0x06,
                                         0x01, 0x04, 0xa0, 0x0c, 0x0c, 0x0a, 's',  'p',
                                         'i',  'f',  'f',  'e',  ':',  '/',  '/',  'a'};
    static const uint8_t ip[] = {0x30, 0x06, 0x87, 0x04, 10, 0, 0, 1};
    static const uint8_t registered_id[] = {0x30, 0x05, 0x88, 0x03, 0x2b, 0x06, 0x01};
    static const uint8_t no_names[] = {0x30, 0x00};
    static const struct {
        const char *name;
        struct pki_options leaf;
    } rows[] = {
        {"no SAN", {.common_name = "x"}},
        {"common name", {.common_name = FIXTURE_ID}},
        {"DNS", {.dns = {TEXT(FIXTURE_ID)}}},
        {"e-mail", {.emails = {TEXT(FIXTURE_ID)}}},
        {"otherName", {.san_der = {other_name, sizeof other_name}}},
        {"IP address", {.san_der = {ip, sizeof ip}}},
        {"registeredID", {.san_der = {registered_id, sizeof registered_id}}},
        {"empty SAN", {.san_der = {no_names, sizeof no_names}}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct verify_fixture options = {.leaf = rows[i].leaf, .no_default_id = true};
        verify_fixture_expect(rows[i].name, &options, VERIFY_NO_SPIFFE_ID);
        // Control: beside a proper ID the other name does no harm.
        options.leaf.uris[0] = span_of_text(FIXTURE_ID);
        if (rows[i].leaf.san_der.ptr == NULL) {
            verify_fixture_expect(rows[i].name, &options, VERIFY_OK);
        }
    }
}

static void test_bad_ids(void **state) {
    (void)state;
    static const struct span ids[] = {
        TEXT("spiffe://example.org"), // a trust domain, not a workload
        TEXT("spiffe://example.org/"),
        TEXT("SPIFFE://example.org/x"),
        TEXT("spiffe://EXAMPLE.org/x"),
        TEXT("spiffe://example.org:8443/x"),
        TEXT("https://example.org/x"),
        TEXT("spiffe://example.org/x\xff"),
        TEXT("spiffe://example.org/x?y"),
        TEXT("spiffe://example.org/../x"),
        TEXT(""),
    };
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        verify_fixture_expect((const char *)ids[i].ptr,
                              &(struct verify_fixture){.leaf = {.uris = {ids[i]}}},
                              VERIFY_NO_SPIFFE_ID);
    }
}

static void test_nul_at_every_offset(void **state) {
    (void)state;
    for (size_t i = 0; i <= strlen(FIXTURE_ID); i++) {
        char id[] = FIXTURE_ID; // with its terminator, where the last round leaves the NUL
        size_t len = i < strlen(FIXTURE_ID) ? strlen(FIXTURE_ID) : sizeof id;
        id[i] = '\0';
        struct verify_fixture options = {.leaf = {.uris = {span_of(id, len)}}};
        assert_int_equal(verify_fixture_run(&options, VERIFY_CLIENT, NULL, NULL),
                         VERIFY_NO_SPIFFE_ID);
    }
}

static void test_several_names(void **state) {
    (void)state;
    struct pki_options two = {.uris = {TEXT(FIXTURE_ID), TEXT("spiffe://example.org/other")}};
    struct pki_options twice = {.uris = {TEXT(FIXTURE_ID), TEXT(FIXTURE_ID)}};
    struct pki_options web = {.uris = {TEXT(FIXTURE_ID), TEXT("https://example.org/")}};
    verify_fixture_expect("two IDs", &(struct verify_fixture){.leaf = two}, VERIFY_NO_SPIFFE_ID);
    verify_fixture_expect("one ID twice", &(struct verify_fixture){.leaf = twice},
                          VERIFY_NO_SPIFFE_ID);
    verify_fixture_expect("another URI", &(struct verify_fixture){.leaf = web},
                          VERIFY_NO_SPIFFE_ID);
    struct pki_options dns = {.uris = {TEXT(FIXTURE_ID)}, .dns = {TEXT("a.example.org")}};
    verify_fixture_expect("DNS beside", &(struct verify_fixture){.leaf = dns}, VERIFY_OK);
}

static void test_broken_san(void **state) {
    (void)state;
    static const uint8_t good[] = {0x30, 0x0e, 0x86, 0x0c, 's', 'p', 'i', 'f',
                                   'f',  'e',  ':',  '/',  '/', 'a', '/', 'b'};
    static const uint8_t long_length[] = {0x30, 0x7f, 0x86, 0x0c, 's', 'p'};
    struct span san = span_of(good, sizeof good);
    struct pki_options options = {.san_der = san};
    verify_fixture_expect("raw SAN", &(struct verify_fixture){.leaf = options, .trust_domain = "a"},
                          VERIFY_OK);
    options.second_san_der = san;
    verify_fixture_expect("SAN twice",
                          &(struct verify_fixture){.leaf = options, .trust_domain = "a"},
                          VERIFY_MALFORMED);
    options = (struct pki_options){.san_der = span_of(long_length, sizeof long_length)};
    verify_fixture_expect("broken SAN", &(struct verify_fixture){.leaf = options},
                          VERIFY_MALFORMED);
}

static void test_peer_is_described(void **state) {
    (void)state;
    struct verify_fixture options = {.leaf = {.serial = 0xabc123, .not_after = PKI_NOW + 50},
                                     .intermediate = {.not_after = PKI_NOW + 40}};
    struct peer peer;
    assert_int_equal(verify_fixture_run(&options, VERIFY_CLIENT, &peer, NULL), VERIFY_OK);
    assert_string_equal(peer.id.text, FIXTURE_ID);
    assert_string_equal(peer.serial, "abc123");
    assert_true(peer.not_after == PKI_NOW + 40); // the least of the chain
    struct err err = {0};
    options.now = PKI_NOW + 45;
    memset(&peer, 7, sizeof peer);
    struct peer before = peer;
    assert_int_equal(verify_fixture_run(&options, VERIFY_CLIENT, &peer, &err), VERIFY_EXPIRED);
    assert_memory_equal(&peer, &before, sizeof peer);
    assert_non_null(strstr(err.msg, FIXTURE_ID)); // the claimed ID is named
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_extended_key_usage_is_per_role),
        cmocka_unit_test(test_version1),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_digests),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_other_names_are_no_id),
        cmocka_unit_test(test_bad_ids),
        cmocka_unit_test(test_nul_at_every_offset),
        cmocka_unit_test(test_several_names),
        cmocka_unit_test(test_broken_san),
        cmocka_unit_test(test_peer_is_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
