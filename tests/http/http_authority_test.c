#include "agent/http/http_authority.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_forms(void **state) {
    (void)state;
    static const char *const FORMS[][2] = {
        {"Example.ORG", "example.org"},     {"example.org:8443", "example.org"},
        {"example.org.", "example.org"},    {"example.org.:80", "example.org"},
        {"example.org:", "example.org"},    {"10.0.0.1:65535", "10.0.0.1"},
        {"[2001:DB8::1]", "[2001:db8::1]"}, {"[::1]:80", "[::1]"},
        {"under_score", "under_score"},
    };
    for (size_t i = 0; i < sizeof(FORMS) / sizeof(FORMS[0]); i++) {
        struct http_host host;
        assert_true(http_authority_parse(&host, span_of_text(FORMS[i][0])));
        assert_string_equal(host.name, FORMS[i][1]);
    }
}

static void test_refused(void **state) {
    (void)state;
    static const char *const BAD[] = {
        "",          ":80",    "a:b", "a:65536", "a:-1",    "a:1:2",    "::1",
        "[::1",      "[::1]x", "a/b", "user@a",  "a b",     "a,b",      "a\tb",
        "a:80/../b", "a%41",   "[]",  "[::1]:",  "[::1]:a", "a:000080",
    };
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        struct http_host host;
        bool ok = http_authority_parse(&host, span_of_text(BAD[i]));
        assert_int_equal(ok, strcmp(BAD[i], "[::1]:") == 0); // an empty port is none
    }
    char text[HTTP_HOST_MAX + 2];
    struct http_host host;
    memset(text, 'a', sizeof(text));
    assert_true(http_authority_parse(&host, span_of(text, HTTP_HOST_MAX)));
    assert_false(http_authority_parse(&host, span_of(text, HTTP_HOST_MAX + 1)));
    assert_false(http_authority_parse(&host, span_of("a\0b", 3)));
}

static void test_sni(void **state) {
    (void)state;
    struct http_host host;
    http_authority_from_sni(&host, "WWW.Example.org.");
    assert_string_equal(host.name, "www.example.org");
    http_authority_from_sni(&host, NULL);
    assert_string_equal(host.name, "");
    http_authority_from_sni(&host, "a b");
    assert_string_equal(host.name, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_sni),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
