#include "certmgr/anchors.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <openssl/mem.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "certmgr/pem.h"
#include "tests/testing/pki.h"

static void expect_refusal(struct anchors *anchors, struct span input, const char *code) {
    struct err err = {0};
    size_t before = anchors_num(anchors);
    assert_false(anchors_add(anchors, input, "the list", &err));
    assert_memory_equal(err.msg, code, strlen(code));
    assert_int_equal(anchors_num(anchors), before);
}

static void test_what_is_taken(void **state) {
    (void)state;
    struct err err = {0};
    OWNED(pki_free) struct pki_cert *ca = pki_ca();
    OWNED(pki_free) struct pki_cert *leaf = pki_leaf(ca, "spiffe://example.org/a");
    OWNED(anchors_free) struct anchors *anchors = anchors_new();
    struct buf pem = {0};
    assert_true(pem_render("CERTIFICATE", pki_der(leaf), &pem));
    assert_true(anchors_add(anchors, pki_der(ca), "ca.der", &err));
    assert_false(anchors_has_leaf(anchors));
    expect_refusal(anchors, pki_der(ca), "duplicated_certs: the list");
    assert_true(anchors_add(anchors, buf_span(&pem), "leaf.pem", &err));
    assert_true(anchors_has_leaf(anchors));
    assert_true(anchors_contain(anchors, pki_x509(leaf)));
    assert_string_equal(anchors_view(anchors, 1).name, "leaf.pem");
    expect_refusal(anchors, span_of("garbage", 7), "invalid_certificate: the list");
    buf_fini(&pem);
    assert_true(pem_render("PRIVATE KEY", pki_key_der(leaf), &pem));
    expect_refusal(anchors, buf_span(&pem), "invalid_certificate: the list holds a private key");
    buf_fini(&pem);
}

static void test_expiry(void **state) {
    (void)state;
    struct err err = {0};
    struct pki_options old = {.ca = true, .not_after = PKI_NOW - 1};
    OWNED(pki_free) struct pki_cert *expired = pki_issue(NULL, &old);
    OWNED(anchors_free) struct anchors *anchors = anchors_new();
    assert_true(anchors_add(anchors, pki_der(expired), "old.pem", &err));
    assert_false(anchors_check_expiry(anchors, NULL, PKI_NOW, &err));
    assert_memory_equal(err.msg, "certificate_expired: old.pem", 28);
    assert_true(anchors_check_expiry(anchors, NULL, PKI_NOW - 2, &err));
    assert_true(anchors_check_expiry(anchors, anchors, PKI_NOW, &err)); // it was there before
}

static struct span name_of(const STACK_OF(CRYPTO_BUFFER) * names, size_t i) {
    const CRYPTO_BUFFER *name = sk_CRYPTO_BUFFER_value(names, i);
    return span_of(CRYPTO_BUFFER_data(name), CRYPTO_BUFFER_len(name));
}

static bool is_name(struct span der, const X509_NAME *name) {
    uint8_t *own = NULL;
    int len = i2d_X509_NAME((X509_NAME *)name, &own);
    bool same = len > 0 && (size_t)len == der.len && memcmp(own, der.ptr, der.len) == 0;
    OPENSSL_free(own);
    return same;
}

// What a client's own certificate is issued by; a CA's own name; two of one name are one.
static void test_issuers(void **state) {
    (void)state;
    struct err err = {0};
    OWNED(pki_free) struct pki_cert *ca = pki_ca();
    OWNED(pki_free)
    struct pki_cert *sub = pki_issue(ca, &(struct pki_options){.ca = true, .common_name = "sub"});
    OWNED(pki_free)
    struct pki_cert *renewed =
        pki_issue(ca, &(struct pki_options){.ca = true, .common_name = "sub"});
    OWNED(pki_free)
    struct pki_cert *leaf = pki_issue(ca, &(struct pki_options){.common_name = "client"});
    OWNED(anchors_free) struct anchors *anchors = anchors_new();
    STACK_OF(CRYPTO_BUFFER) *names = sk_CRYPTO_BUFFER_new_null();
    assert_non_null(names);
    assert_true(anchors_add_issuers(NULL, names));
    assert_true(anchors_add(anchors, pki_der(sub), "sub", &err));
    assert_true(anchors_add(anchors, pki_der(renewed), "renewed", &err));
    assert_true(anchors_add(anchors, pki_der(leaf), "leaf", &err));
    assert_true(anchors_add_issuers(anchors, names));
    assert_int_equal(sk_CRYPTO_BUFFER_num(names), 2);
    assert_true(is_name(name_of(names, 0), X509_get_subject_name(pki_x509(sub))));
    assert_true(is_name(name_of(names, 1), X509_get_subject_name(pki_x509(ca))));
    assert_true(anchors_add_issuers(anchors, names)); // all are there
    assert_int_equal(sk_CRYPTO_BUFFER_num(names), 2);
    sk_CRYPTO_BUFFER_pop_free(names, CRYPTO_BUFFER_free);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_taken),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_issuers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
