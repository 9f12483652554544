// URLs that certificates may be fetched from, and those that they may not.
#include "agent/config/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *text, enum url_scheme scheme, const char *host, unsigned port,
                   const char *target) {
    struct url url;
    struct err err = {0};
    if (!url_parse(span_of_text(text), &url, &err)) {
        fail_msg("%s: %s", text, err.msg);
    }
    assert_int_equal(url.scheme, scheme);
    assert_string_equal(url.host, host);
    assert_int_equal(url.port, port);
    assert_string_equal(url.target, target);
}

static void taken(void **state) {
    (void)state;
    expect("https://ca.example/ca.pem", URL_HTTPS, "ca.example", 443, "/ca.pem");
    expect("https://ca.example", URL_HTTPS, "ca.example", 443, "/");
    expect("https://ca.example:8443/a?b=c", URL_HTTPS, "ca.example", 8443, "/a?b=c");
    expect("https://[2001:db8::1]:8443/a", URL_HTTPS, "2001:db8::1", 8443, "/a");
    expect("http://127.0.0.1:80/a", URL_HTTP, "127.0.0.1", 80, "/a");
    expect("http://[::1]/a", URL_HTTP, "::1", 80, "/a");
    expect("http://localhost/a", URL_HTTP, "localhost", 80, "/a");
    expect("file:///etc/x.pem", URL_FILE, "", 0, "/etc/x.pem");
}

static void refused(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"ftp://x/", "does not begin with"},
        {"", "does not begin with"},
        {"https://", "host is neither"},
        {"https://user@x/", "host is neither"},
        {"https://[::1/", "host is neither"},
        {"https://x:0/", "port is not"},
        {"https://x:65536/", "port is not"},
        {"https://x:1a/", "port is not"},
        {"https://x:/", "port is not"},
        {"https://[::1]x/", "port is not"},
        {"https://x/a b", "a blank"},
        {"https://x/\r\nHost: y", "a blank"},
        {"https://x/\xc3\xa9", "beyond ASCII"},
        {"https://x/#part", "fragment"},
        {"http://ca.example/", "loopback address only"},
        {"http://10.0.0.1/", "loopback address only"},
        {"file://host/x", "file:///PATH"},
        {"file://", "file:///PATH"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err = {0};
        assert_false(url_check(span_of_text(rows[i][0]), &err));
        if (strstr(err.msg, rows[i][1]) == NULL) {
            fail_msg("%s: \"%s\" does not say \"%s\"", rows[i][0], err.msg, rows[i][1]);
        }
    }
    char longer[URL_TEXT_MAX + 20] = "https://x/";
    memset(longer + 10, 'a', sizeof(longer) - 11);
    longer[sizeof(longer) - 1] = '\0';
    assert_false(url_check(span_of_text(longer), NULL));
}

static void responders(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"https://ocsp.example/", "by http:// only"},
        {"file:///ocsp", "by http:// only"},
        {"ocsp.example", "does not begin with"},
        {"http://user@ocsp.example/", "host is neither"},
        {"http://ocsp.example/\r\nHost: y", "a blank"},
    };
    struct url url;
    struct err err = {0};
    assert_true(url_parse_responder(span_of_text("http://ocsp.example/q"), &url, &err));
    assert_string_equal(url.host, "ocsp.example");
    assert_int_equal(url.port, 80);
    assert_string_equal(url.target, "/q");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(url_check_responder(span_of_text(bad[i][0]), &err));
        assert_non_null(strstr(err.msg, bad[i][1]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(taken), cmocka_unit_test(refused),
                                       cmocka_unit_test(responders)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
