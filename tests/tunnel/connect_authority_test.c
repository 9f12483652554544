#include "agent/tunnel/connect_authority.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// In memory of its exact size, so that the sanitizer sees a read beyond it.
static bool parse(struct netaddr *out, const void *text, size_t len, struct err *err) {
    uint8_t *copy = malloc(len + 1);
    assert_non_null(copy);
    uint8_t *at = copy + 1; // also nothing before it
    memcpy(at, text, len);
    bool ok = connect_authority_parse(out, span_of(at, len), err);
    free(copy);
    return ok;
}

static void test_addresses(void **state) {
    (void)state;
    static const char *const FORMS[][2] = {
        {"192.0.2.1:80", "192.0.2.1:80"},
        {"10.0.0.2:65535", "10.0.0.2:65535"},
        {"127.0.0.1:1", "127.0.0.1:1"},
        {"[2001:db8::1]:6379", "[2001:db8::1]:6379"},
        {"[2001:DB8:0:0:0:0:0:1]:6379", "[2001:db8::1]:6379"},
        {"[::1]:443", "[::1]:443"},
        {"[::ffff:192.0.2.1]:80", "192.0.2.1:80"},
    };
    for (size_t i = 0; i < sizeof(FORMS) / sizeof(FORMS[0]); i++) {
        struct netaddr addr;
        struct err err = {0};
        char text[NETADDR_TEXT_MAX];
        assert_true(parse(&addr, FORMS[i][0], strlen(FORMS[i][0]), &err));
        assert_string_equal(netaddr_format(&addr, text), FORMS[i][1]);
    }
}

static void test_everything_else_is_refused(void **state) {
    (void)state;
    static const char *const FORMS[] = {
        "",
        ":",
        ":80",
        "192.0.2.1",
        "192.0.2.1:",
        "192.0.2.1:0",
        "192.0.2.1:65536",
        "192.0.2.1:080",
        "192.0.2.1:+80",
        "192.0.2.1:-1",
        "192.0.2.1: 80",
        " 192.0.2.1:80",
        "192.0.2.1:80 ",
        "192.0.2.1:80/",
        "192.0.2.1:999999999999999999999",
        "192.0.2:80",
        "192.0.2.256:80",
        "0xc0.0.2.1:80",
        "192.0.02.1:80",
        "3221225985:80",
        "[192.0.2.1]:80",
        "2001:db8::1",
        "2001:db8::1:80",
        "[2001:db8::1]",
        "[2001:db8::1]80",
        "[2001:db8::1:80",
        "2001:db8::1]:80",
        "[]:80",
        "[:::]:80",
        "[fe80::1%eth0]:80",
        "[fe80::1%25eth0]:80",
        "[v1.x]:80",
        "user@192.0.2.1:80",
        "redis.example:6379",
        "localhost:80",
        "192.0.2.1:80:80",
        "[[::1]]:80",
        "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0001]:80",
    };
    for (size_t i = 0; i < sizeof(FORMS) / sizeof(FORMS[0]); i++) {
        struct netaddr addr = {.port = 7};
        struct err err = {0};
        if (parse(&addr, FORMS[i], strlen(FORMS[i]), &err)) {
            fail_msg("\"%s\" was taken", FORMS[i]);
        }
        assert_int_equal(addr.port, 7);
        assert_int_equal(err.class, ERR_INPUT);
        assert_non_null(strstr(err.msg, "authority"));
    }
}

static void test_names_are_explained(void **state) {
    (void)state;
    struct netaddr addr;
    struct err err = {0};
    assert_false(parse(&addr, "redis:6379", 10, &err));
    assert_non_null(strstr(err.msg, "\"redis:6379\""));
    assert_non_null(strstr(err.msg, "names are not resolved"));
}

static void test_hostile_text_is_escaped_and_cut(void **state) {
    (void)state;
    struct netaddr addr;
    struct err err = {0};
    static const char WITH_NUL[] = "192.0.2.1\0:80";
    assert_false(parse(&addr, WITH_NUL, sizeof(WITH_NUL) - 1, &err));
    assert_non_null(strstr(err.msg, "192.0.2.1\\x00:80"));
    assert_false(parse(&addr, "a\"\n\\\x7f\xff:80", 9, &err));
    assert_non_null(strstr(err.msg, "a\\x22\\x0a\\x5c\\x7f\\xff:80"));
    char *longest = malloc(16000);
    assert_non_null(longest);
    memset(longest, '\n', 16000);
    assert_false(parse(&addr, longest, 16000, &err));
    assert_true(strlen(err.msg) < 400);
    assert_non_null(strstr(err.msg, "..."));
    free(longest);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_everything_else_is_refused),
        cmocka_unit_test(test_names_are_explained),
        cmocka_unit_test(test_hostile_text_is_escaped_and_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
