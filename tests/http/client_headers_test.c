#include "agent/http/client_headers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/testing/pki.h"

static void test_all_of_them(void **state) {
    (void)state;
    OWNED(pki_free) struct pki_cert *ca = pki_ca();
    const struct pki_options options = {.common_name = "svc-a", .serial = 0xabc};
    OWNED(pki_free) struct pki_cert *leaf = pki_issue(ca, &options);
    struct http_fields out = {.num = 0};
    assert_true(client_headers_from_der(&out, pki_der(leaf), "spiffe://td/a", NULL));
    assert_true(span_equal_text(http_fields_get(&out, "x-ssl-client-s-dn"), "CN=svc-a"));
    assert_true(span_equal_text(http_fields_get(&out, "x-ssl-client-serial"), "0ABC"));
    assert_true(span_equal_text(http_fields_get(&out, "x-ssl-client-spiffe-id"), "spiffe://td/a"));
    struct span sha1 = http_fields_get(&out, "x-ssl-client-fingerprint");
    struct span sha256 = http_fields_get(&out, "x-ssl-client-sha256");
    assert_int_equal(sha1.len, 40);
    assert_int_equal(sha256.len, 64);
    for (size_t i = 0; i < sha1.len; i++) {
        assert_non_null(strchr("0123456789abcdef", sha1.ptr[i]));
    }
    char wanted[256];
    snprintf(wanted, sizeof(wanted), "Hash=%.64s;Subject=\"CN=svc-a\";URI=spiffe://td/a",
             (const char *)sha256.ptr);
    assert_true(span_equal_text(http_fields_get(&out, "x-forwarded-client-cert"), wanted));
    http_fields_fini(&out);
}

// Nothing in a name can end a header, a quoted string or an element.
static void test_escapes(void **state) {
    (void)state;
    OWNED(pki_free) struct pki_cert *ca = pki_ca();
    const struct pki_options options = {.common_name = "a\",;=b\r\nX-Ssl-Client-S-DN: c\\"};
    OWNED(pki_free) struct pki_cert *leaf = pki_issue(ca, &options);
    struct http_fields out = {.num = 0};
    assert_true(client_headers_from_der(&out, pki_der(leaf), NULL, NULL));
    assert_true(span_equal_text(http_fields_get(&out, "x-ssl-client-s-dn"),
                                "CN=a\\\"\\,\\;=b\\0D\\0AX-Ssl-Client-S-DN: c\\\\"));
    assert_int_equal(http_fields_find(&out, "x-ssl-client-spiffe-id"), -1);
    struct span forwarded = http_fields_get(&out, "x-forwarded-client-cert");
    assert_memory_equal(forwarded.ptr + 5 + 64, ";Subject=\"CN=a\\\"", 16);
    assert_int_equal(forwarded.ptr[forwarded.len - 1], '"');
    http_fields_fini(&out);
}

static void test_refused(void **state) {
    (void)state;
    OWNED(pki_free) struct pki_cert *ca = pki_ca();
    OWNED(pki_free) struct pki_cert *leaf = pki_leaf(ca, "spiffe://td/a");
    struct http_fields out = {.num = 0};
    struct err err = {0};
    struct span der = pki_der(leaf);
    assert_false(client_headers_from_der(&out, span_of(der.ptr, der.len - 1), NULL, &err));
    assert_false(client_headers_from_der(&out, der, "spiffe://td/a\r\nX: y", &err));
    assert_int_equal(out.num, 0);
    http_fields_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_of_them),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
