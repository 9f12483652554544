// Trust bundles: kept apart, refused when anything in them is wrong, equal content equal digest.
#include "certmgr/bundle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/x509.h>

#include "tests/testing/pki.h"

static bool add(struct bundle_builder *builder, const char *domain, struct span der) {
    struct err err = {0};
    bool ok = bundle_builder_add(builder, span_of_text(domain), der, &err);
    assert_int_equal(ok, err.msg[0] == '\0');
    return ok;
}

static void test_domains(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct bundle_builder *builder = bundle_builder_new();
    static const char *const names[] = {"b", "a.b", "a", "aa", "zz"};
    for (size_t i = 0; i < 5; i++) {
        assert_true(add(builder, names[i], pki_der(ca)));
    }
    struct bundle_set *set OWNED(bundle_set_unref) = bundle_builder_finish(builder);
    assert_int_equal(bundle_set_num_domains(set), 5);
    for (size_t i = 0; i < 5; i++) {
        assert_non_null(bundle_set_store(set, span_of_text(names[i])));
    }
    static const char *const absent[] = {"", "c", "a.", "ab", "B", "z", "zzz"};
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        assert_null(bundle_set_store(set, span_of_text(absent[i])));
    }
    assert_false(bundle_set_has_crls(set));
    struct bundle_set *again = bundle_set_ref(set);
    bundle_set_unref(again);
}

static void test_empty_set(void **state) {
    (void)state;
    struct bundle_set *set OWNED(bundle_set_unref) = bundle_builder_finish(bundle_builder_new());
    assert_int_equal(bundle_set_num_domains(set), 0);
    assert_null(bundle_set_store(set, span_of_text("a")));
    bundle_builder_free(bundle_builder_new());
    bundle_builder_free(NULL);
}

static void test_view(void **state) {
    (void)state;
    struct pki_cert *late OWNED(pki_free) = pki_ca();
    struct pki_cert *soon OWNED(pki_free) =
        pki_issue(NULL, &(struct pki_options){.ca = true, .not_after = PKI_NOW + 7});
    const struct pki_cert *both[] = {late, soon};
    struct pki_bytes *der OWNED(pki_bytes_free) = pki_concat(both, 2);
    struct bundle_builder *builder = bundle_builder_new();
    assert_true(add(builder, "example.org", pki_span(der)));
    struct bundle_set *set OWNED(bundle_set_unref) = bundle_builder_finish(builder);
    struct bundle_view view = bundle_set_view(set, 0);
    assert_true(span_equal_text(view.trust_domain, "example.org"));
    assert_int_equal(view.num_certificates, 2);
    assert_true(view.not_after == PKI_NOW + 7);
}

static void test_refused(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(ca, "spiffe://a/x");
    struct pki_cert *old OWNED(pki_free) =
        pki_issue(NULL, &(struct pki_options){.ca = true, .version1 = true});
    struct pki_cert *no_sign OWNED(pki_free) =
        pki_issue(NULL, &(struct pki_options){.ca = true, .key_usage = "critical,cRLSign"});
    struct bundle_builder *builder OWNED(bundle_builder_free) = bundle_builder_new();
    assert_true(add(builder, "a", pki_der(ca))); // control
    assert_false(add(builder, "a", span_of(NULL, 0)));
    assert_false(add(builder, "a", pki_der(leaf)));
    assert_false(add(builder, "a", pki_der(old)));
    assert_false(add(builder, "a", pki_der(no_sign)));
    assert_false(add(builder, "", pki_der(ca)));
    assert_false(add(builder, "A", pki_der(ca)));
    assert_false(add(builder, "spiffe://a", pki_der(ca)));
    assert_false(add(builder, "a", span_of_text("-----BEGIN CERTIFICATE-----")));
    const struct pki_cert *mixed[] = {ca, leaf};
    struct pki_bytes *der OWNED(pki_bytes_free) = pki_concat(mixed, 2);
    assert_false(add(builder, "a", pki_span(der)));
    for (size_t len = 1; len < pki_der(ca).len; len++) {
        assert_false(add(builder, "a", span_of(pki_der(ca).ptr, len)));
    }
}

static void test_limits(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    const struct pki_cert *many[BUNDLE_CERTIFICATES_MAX + 1];
    for (size_t i = 0; i <= BUNDLE_CERTIFICATES_MAX; i++) {
        many[i] = ca;
    }
    struct pki_bytes *most OWNED(pki_bytes_free) = pki_concat(many, BUNDLE_CERTIFICATES_MAX);
    struct pki_bytes *more OWNED(pki_bytes_free) = pki_concat(many, BUNDLE_CERTIFICATES_MAX + 1);
    struct bundle_builder *builder OWNED(bundle_builder_free) = bundle_builder_new();
    assert_true(add(builder, "a", pki_span(most)));
    assert_false(add(builder, "a", pki_span(more)));
    for (size_t i = 1; i < BUNDLE_DOMAINS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "d%zu", i);
        assert_true(add(builder, name, pki_der(ca)));
    }
    assert_false(add(builder, "one-more", pki_der(ca)));
    assert_true(add(builder, "d1", pki_der(ca))); // replaces
}

static struct bundle_set *make_set(const char *first, struct span first_der, const char *second,
                                   struct span second_der) {
    struct bundle_builder *builder = bundle_builder_new();
    assert_true(add(builder, first, first_der));
    assert_true(second == NULL || add(builder, second, second_der));
    return bundle_builder_finish(builder);
}

static bool same_digest(struct bundle_set *a, struct bundle_set *b) {
    bool same = memcmp(bundle_set_digest(a), bundle_set_digest(b), 32) == 0;
    bundle_set_unref(a);
    bundle_set_unref(b);
    return same;
}

static void test_digest(void **state) {
    (void)state;
    struct pki_cert *x OWNED(pki_free) = pki_ca();
    struct pki_cert *y OWNED(pki_free) = pki_ca();
    struct span dx = pki_der(x);
    struct span dy = pki_der(y);
    struct span no = span_of(NULL, 0);
    assert_true(same_digest(make_set("a", dx, NULL, no), make_set("a", dx, NULL, no)));
    assert_true(same_digest(make_set("a", dx, "b", dy), make_set("b", dy, "a", dx)));
    assert_true(same_digest(make_set("a", dx, "a", dy), make_set("a", dy, NULL, no)));
    assert_false(same_digest(make_set("a", dx, NULL, no), make_set("a", dy, NULL, no)));
    assert_false(same_digest(make_set("a", dx, NULL, no), make_set("b", dx, NULL, no)));
    assert_false(same_digest(make_set("a", dx, "b", dy), make_set("a", dy, "b", dx)));
    assert_false(same_digest(make_set("a", dx, "b", dy), make_set("a", dx, NULL, no)));
}

static void test_crls(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct pki_bytes *crl OWNED(pki_bytes_free) = pki_crl(ca, NULL, PKI_NOW, PKI_NOW + 10);
    struct bundle_builder *builder = bundle_builder_new();
    assert_true(add(builder, "a", pki_der(ca)));
    assert_false(bundle_builder_add_crl(builder, span_of(NULL, 0), NULL));
    assert_false(bundle_builder_add_crl(builder, pki_der(ca), NULL));
    for (size_t len = 1; len < crl->len; len++) {
        assert_false(bundle_builder_add_crl(builder, span_of(crl->ptr, len), NULL));
    }
    assert_true(bundle_builder_add_crl(builder, pki_span(crl), NULL));
    struct bundle_set *set = bundle_builder_finish(builder);
    assert_true(bundle_set_has_crls(set));
    assert_false(same_digest(set, make_set("a", pki_der(ca), NULL, span_of(NULL, 0))));
}

// A list with a critical extension (delta, partial scope) says less than it seems to.
static void test_partial_crls(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct pki_bytes *plain OWNED(pki_bytes_free) = pki_crl(ca, NULL, PKI_NOW, PKI_NOW + 10);
    static uint8_t number[] = {2, 1, 1};
    for (int critical = 0; critical < 2; critical++) {
        const uint8_t *start = plain->ptr;
        X509_CRL *crl = d2i_X509_CRL(NULL, &start, (long)plain->len);
        ASN1_INTEGER *value = d2i_ASN1_INTEGER(NULL, &(const uint8_t *){number}, sizeof number);
        assert_true(X509_CRL_add1_ext_i2d(crl, NID_crl_number, value, critical, 0));
        assert_true(X509_CRL_sign(crl, pki_key(ca), EVP_sha256()) > 0);
        uint8_t *der = NULL;
        int len = i2d_X509_CRL(crl, &der);
        struct bundle_builder *builder OWNED(bundle_builder_free) = bundle_builder_new();
        struct err err = {0};
        assert_int_equal(bundle_builder_add_crl(builder, span_of(der, (size_t)len), &err),
                         critical == 0);
        OPENSSL_free(der);
        ASN1_INTEGER_free(value);
        X509_CRL_free(crl);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_domains), cmocka_unit_test(test_empty_set),
        cmocka_unit_test(test_view),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),  cmocka_unit_test(test_digest),
        cmocka_unit_test(test_crls),    cmocka_unit_test(test_partial_crls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
