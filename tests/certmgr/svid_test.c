// Our own SVID: SPIFFE X509-SVID, sections 3-5. Each refused row differs from the control in one
// thing.
#include "certmgr/svid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/testing/pki.h"

#define ID "spiffe://example.org/web"

static struct span none(void) {
    return span_of(NULL, 0);
}

static struct svid *parse(struct span chain, struct span key, struct err *err) {
    return svid_parse(chain, key, none(), none(), err);
}

// Whether a chain of a leaf and an intermediate with these options parses.
static bool parses(const struct pki_options *leaf_options, const struct pki_options *ca_options) {
    struct pki_options leaf_with_id = *leaf_options;
    if (leaf_with_id.uris[0].ptr == NULL) {
        leaf_with_id.uris[0] = span_of_text(ID);
    }
    struct pki_options intermediate_options = *ca_options;
    intermediate_options.ca = true;
    struct pki_cert *root OWNED(pki_free) = pki_ca();
    struct pki_cert *intermediate OWNED(pki_free) = pki_issue(root, &intermediate_options);
    struct pki_cert *leaf OWNED(pki_free) = pki_issue(intermediate, &leaf_with_id);
    const struct pki_cert *certs[] = {leaf, intermediate};
    struct pki_bytes *chain OWNED(pki_bytes_free) = pki_concat(certs, 2);
    struct err err = {0};
    struct svid *svid OWNED(svid_unref) = parse(pki_span(chain), pki_key_der(leaf), &err);
    assert_int_equal(svid != NULL, err.msg[0] == '\0');
    return svid != NULL;
}

static void test_leaf_rules(void **state) {
    (void)state;
    static const struct {
        const char *name;
        bool expected;
        struct pki_options leaf;
    } rows[] = {
        {"control", true, {0}},
        {"P-384", true, {.key = PKI_P384}},
        {"RSA-2048", true, {.key = PKI_RSA2048}},
        {"expired", true, {.not_after = PKI_NOW - 1}}, // the store looks at the clock
        {"no EKU", true, {.extended_key_usage = PKI_ABSENT}},
        {"P-521", false, {.key = PKI_P521}},
        {"Ed25519", false, {.key = PKI_ED25519}},
        {"RSA-1024", false, {.key = PKI_RSA1024}},
        {"CA", false, {.basic_constraints = "critical,CA:TRUE"}},
        {"no keyUsage", false, {.key_usage = PKI_ABSENT}},
        {"keyUsage not critical", false, {.key_usage = "digitalSignature"}},
        {"no digitalSignature", false, {.key_usage = "critical,keyAgreement"}},
        {"keyCertSign", false, {.key_usage = "critical,digitalSignature,keyCertSign"}},
        {"cRLSign", false, {.key_usage = "critical,digitalSignature,cRLSign"}},
        {"version 1", false, {.version1 = true}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (parses(&rows[i].leaf, &(struct pki_options){0}) != rows[i].expected) {
            fail_msg("%s is not %d", rows[i].name, rows[i].expected);
        }
    }
    struct pki_options two = {.uris = {span_of_text(ID), span_of_text(ID)}};
    struct pki_options domain = {.uris = {span_of_text("spiffe://example.org")}};
    struct pki_options web = {.uris = {span_of_text("https://example.org/x")}};
    assert_false(parses(&two, &(struct pki_options){0}));
    assert_false(parses(&domain, &(struct pki_options){0}));
    assert_false(parses(&web, &(struct pki_options){0}));
}

static void test_intermediate_rules(void **state) {
    (void)state;
    struct pki_options leaf = {0};
    assert_true(parses(&leaf, &(struct pki_options){.key = PKI_P384}));
    assert_false(parses(&leaf, &(struct pki_options){.basic_constraints = "critical,CA:FALSE"}));
    assert_false(parses(&leaf, &(struct pki_options){.key_usage = "critical,cRLSign"}));
    assert_false(parses(&leaf, &(struct pki_options){.key_usage = PKI_ABSENT}));
}

static void test_contents(void **state) {
    (void)state;
    struct pki_cert *root OWNED(pki_free) = pki_ca();
    struct pki_cert *intermediate OWNED(pki_free) =
        pki_issue(root, &(struct pki_options){.ca = true, .not_after = PKI_NOW + 50});
    struct pki_cert *leaf OWNED(pki_free) =
        pki_issue(intermediate, &(struct pki_options){.uris = {span_of_text(ID)},
                                                      .serial = 0xbeef,
                                                      .not_before = PKI_NOW - 5,
                                                      .not_after = PKI_NOW + 60});
    const struct pki_cert *certs[] = {leaf, intermediate};
    struct pki_bytes *chain OWNED(pki_bytes_free) = pki_concat(certs, 2);
    struct svid *svid OWNED(svid_unref) = svid_parse(pki_span(chain), pki_key_der(leaf),
                                                     span_of_text(ID), span_of_text("mine"), NULL);
    assert_non_null(svid);
    assert_string_equal(svid_id(svid)->text, ID);
    assert_string_equal(svid_serial(svid), "beef");
    assert_string_equal(svid_hint(svid), "mine");
    assert_true(svid_not_before(svid) == PKI_NOW - 5);
    assert_true(svid_not_after(svid) == PKI_NOW + 50); // the least of the chain
    assert_non_null(svid_key(svid));
    size_t num = 0;
    CRYPTO_BUFFER *const *buffers = svid_chain(svid, &num);
    assert_int_equal(num, 2);
    for (size_t i = 0; i < num; i++) {
        struct span der = span_of(CRYPTO_BUFFER_data(buffers[i]), CRYPTO_BUFFER_len(buffers[i]));
        assert_true(span_equal(der, pki_der(certs[i])));
    }
    struct svid *again = svid_ref(svid);
    assert_ptr_equal(again, svid);
    svid_unref(again);
}

static void test_expected_id(void **state) {
    (void)state;
    struct pki_cert *root OWNED(pki_free) = pki_ca();
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(root, ID);
    static const char *const wrong[] = {"spiffe://example.org/we", "spiffe://example.org/webb",
                                        "spiffe://example.org/Web", "x"};
    for (size_t i = 0; i < 4; i++) {
        struct err err = {0};
        assert_null(
            svid_parse(pki_der(leaf), pki_key_der(leaf), span_of_text(wrong[i]), none(), &err));
        assert_non_null(strstr(err.msg, ID));
    }
    // Length-counted: a NUL does not end it.
    assert_null(svid_parse(pki_der(leaf), pki_key_der(leaf), span_of(ID "\0x", sizeof ID + 1),
                           none(), NULL));
}

static void test_key(void **state) {
    (void)state;
    struct pki_cert *root OWNED(pki_free) = pki_ca();
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(root, ID);
    struct pki_cert *other OWNED(pki_free) = pki_leaf(root, ID);
    struct pki_cert *rsa OWNED(pki_free) =
        pki_issue(root, &(struct pki_options){.key = PKI_RSA2048});
    struct svid *good OWNED(svid_unref) = parse(pki_der(leaf), pki_key_der(leaf), NULL);
    assert_non_null(good); // control
    struct err err = {0};
    assert_null(parse(pki_der(leaf), pki_key_der(other), &err));
    assert_non_null(strstr(err.msg, "does not belong"));
    assert_null(parse(pki_der(leaf), pki_key_der(rsa), NULL));
    assert_null(parse(pki_der(leaf), none(), NULL));
    struct span key = pki_key_der(leaf);
    for (size_t len = 0; len < key.len; len++) {
        assert_null(parse(pki_der(leaf), span_of(key.ptr, len), NULL));
    }
    uint8_t *longer = calloc(1, key.len + 1);
    assert_non_null(longer);
    memcpy(longer, key.ptr, key.len);
    assert_null(parse(pki_der(leaf), span_of(longer, key.len + 1), NULL));
    free(longer);
}

static void test_truncated_chain(void **state) {
    (void)state;
    struct pki_cert *root OWNED(pki_free) = pki_ca();
    struct pki_cert *intermediate OWNED(pki_free) = pki_intermediate(root);
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(intermediate, ID);
    const struct pki_cert *certs[] = {leaf, intermediate};
    struct pki_bytes *chain OWNED(pki_bytes_free) = pki_concat(certs, 2);
    size_t leaf_len = pki_der(leaf).len;
    for (size_t len = 0; len < chain->len; len++) {
        uint8_t *exact = malloc(len + 1); // so that a read past the end is seen
        assert_non_null(exact);
        memcpy(exact, chain->ptr, len);
        struct svid *svid = parse(span_of(exact, len), pki_key_der(leaf), NULL);
        assert_int_equal(svid != NULL, len == leaf_len);
        svid_unref(svid);
        free(exact);
    }
}

static void test_limits(void **state) {
    (void)state;
    struct pki_cert *root OWNED(pki_free) = pki_ca();
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(root, ID);
    const struct pki_cert *certs[SVID_CHAIN_MAX + 1] = {leaf};
    for (size_t i = 1; i <= SVID_CHAIN_MAX; i++) {
        certs[i] = root;
    }
    struct pki_bytes *most OWNED(pki_bytes_free) = pki_concat(certs, SVID_CHAIN_MAX);
    struct pki_bytes *more OWNED(pki_bytes_free) = pki_concat(certs, SVID_CHAIN_MAX + 1);
    struct svid *svid OWNED(svid_unref) = parse(pki_span(most), pki_key_der(leaf), NULL);
    assert_non_null(svid);
    assert_null(parse(pki_span(more), pki_key_der(leaf), NULL));
    uint8_t *large = calloc(1, SVID_DER_MAX + 1);
    assert_non_null(large);
    struct err err = {0};
    assert_null(parse(span_of(large, SVID_DER_MAX + 1), pki_key_der(leaf), &err));
    assert_non_null(strstr(err.msg, "at most"));
    free(large);
}

static void test_hint(void **state) {
    (void)state;
    struct pki_cert *root OWNED(pki_free) = pki_ca();
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(root, ID);
    char text[2000];
    memset(text, 'h', sizeof text);
    struct svid *svid OWNED(svid_unref) =
        svid_parse(pki_der(leaf), pki_key_der(leaf), none(), span_of(text, sizeof text), NULL);
    assert_int_equal(strlen(svid_hint(svid)), 1024);
    struct svid *empty OWNED(svid_unref) = parse(pki_der(leaf), pki_key_der(leaf), NULL);
    assert_string_equal(svid_hint(empty), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaf_rules), cmocka_unit_test(test_intermediate_rules),
        cmocka_unit_test(test_contents),   cmocka_unit_test(test_expected_id),
        cmocka_unit_test(test_key),        cmocka_unit_test(test_truncated_chain),
        cmocka_unit_test(test_limits),     cmocka_unit_test(test_hint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
