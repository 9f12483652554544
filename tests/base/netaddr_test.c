#include "base/netaddr.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct netaddr ip_of(const char *text) {
    struct netaddr addr;
    struct err err = {0};
    assert_true(netaddr_parse_ip(&addr, span_of_text(text), &err));
    return addr;
}

static struct netaddr_prefix prefix_of(const char *text) {
    struct netaddr_prefix prefix;
    struct err err = {0};
    assert_true(netaddr_prefix_parse(&prefix, span_of_text(text), &err));
    return prefix;
}

static void test_parse_with_port(void **state) {
    (void)state;
    const struct {
        const char *text, *shown;
        int family;
    } rows[] = {
        {"1.2.3.4:80", "1.2.3.4:80", NETADDR_V4},
        {"0.0.0.0:65535", "0.0.0.0:65535", NETADDR_V4},
        {"[::1]:1", "[::1]:1", NETADDR_V6},
        {"[2001:DB8:0:0::1]:15008", "[2001:db8::1]:15008", NETADDR_V6},
        {"[::ffff:10.0.0.1]:80", "10.0.0.1:80", NETADDR_V4},
        {"[::ffff:a00:1]:80", "10.0.0.1:80", NETADDR_V4},
        {"[fe80::1%3]:80", "[fe80::1%3]:80", NETADDR_V6},
        {"[fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535",
         "[fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535", NETADDR_V6},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct netaddr addr;
        struct err err = {0};
        char text[NETADDR_TEXT_MAX];
        assert_true(netaddr_parse(&addr, span_of_text(rows[i].text), &err));
        assert_int_equal(addr.family, rows[i].family);
        assert_string_equal(netaddr_format(&addr, text), rows[i].shown);
    }
}

static void test_bad_addresses_leave_the_output(void **state) {
    (void)state;
    const char *const rows[] = {
        "",
        ":",
        ":80",
        "1.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:0",
        "1.2.3.4:65536",
        "1.2.3.4:080",
        "1.2.3.4:+80",
        "1.2.3.4: 80",
        "1.2.3.4:80 ",
        " 1.2.3.4:80",
        "1.2.3:80",
        "01.2.3.4:80",
        "1.2.3.4.5:80",
        "1.2.3.256:80",
        "::1:80",
        "::1",
        "[::1]",
        "[::1]:",
        "[::1]80",
        "[::1:80",
        "[1.2.3.4]:80",
        "[]:80",
        "[[::1]]:80",
        "[::1]]:80",
        "[:::]:80",
        "[::1%1]:80",
        "[fe80::1%]:80",
        "[fe80::1%eth0]:80",
        "[fe80::1%4294967296]:80",
        "[fe80::1%1%2]:80",
        "localhost:80",
        "1.2.3.4:80:90",
        "1.2.3.4:99999999999999999999",
        "[::g]:80",
        "0x7f.0.0.1:80",
        "[::ffff:1.2.3.256]:80",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct netaddr addr, before;
        memset(&addr, 0xa5, sizeof addr);
        before = addr;
        struct err err = {0};
        assert_false(netaddr_parse(&addr, span_of_text(rows[i]), &err));
        assert_memory_equal(&addr, &before, sizeof addr);
        assert_int_equal(err.class, ERR_INPUT);
        assert_true(err.msg[0] == '"');
    }
}

static void test_sentences_are_printable(void **state) {
    (void)state;
    struct netaddr addr;
    struct err err = {0};
    assert_false(netaddr_parse(&addr, span_of("1.2.3.4\0:80", 11), &err));
    assert_non_null(strstr(err.msg, "\"1.2.3.4?:80\""));
    assert_false(netaddr_parse_ip(&addr, span_of("\x1b[31m\n", 6), &err));
    assert_non_null(strstr(err.msg, "\"?[31m?\""));
    char big[10000];
    memset(big, '1', sizeof big);
    assert_false(netaddr_parse_ip(&addr, span_of(big, sizeof big), &err));
    assert_true(strlen(err.msg) < 200);
    assert_false(netaddr_parse_ip(&addr, span_of(NULL, 0), NULL));
}

static void test_parse_ip(void **state) {
    (void)state;
    struct netaddr addr;
    char text[NETADDR_TEXT_MAX];
    addr = ip_of("::ffff:127.0.0.1");
    assert_int_equal(addr.family, NETADDR_V4);
    assert_int_equal(addr.port, 0);
    assert_string_equal(netaddr_format_ip(&addr, text), "127.0.0.1");
    addr = ip_of("::1.2.3.4"); // deprecated IPv4-compatible form: plain IPv6
    assert_int_equal(addr.family, NETADDR_V6);
    struct err err;
    assert_false(netaddr_parse_ip(&addr, span_of_text("1.2.3.4:80"), &err));
    assert_false(netaddr_parse_ip(&addr, span_of_text("[::1]"), &err));
    assert_false(netaddr_parse_ip(&addr, span_of_text("10.0.0.0/8"), &err));
}

static void test_prefixes(void **state) {
    (void)state;
    const struct {
        const char *text, *shown;
    } rows[] = {
        {"10.0.0.0/8", "10.0.0.0/8"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"::/0", "::/0"},
        {"fc00::/7", "fc00::/7"},
        {"1.2.3.4", "1.2.3.4/32"},
        {"::1", "::1/128"},
        {"::ffff:10.0.0.0/104", "10.0.0.0/8"},
        {"::ffff:0.0.0.0/96", "0.0.0.0/0"},
        {"::ffff:1.2.3.4", "1.2.3.4/32"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct netaddr_prefix prefix = prefix_of(rows[i].text);
        char text[NETADDR_TEXT_MAX];
        assert_string_equal(netaddr_prefix_format(&prefix, text), rows[i].shown);
    }
    const char *const bad[] = {
        "",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.1/8",
        "10.0.0.0/08",
        "::/129",
        "fc00::1/7",
        "1.2.3.4/-1",
        "1.2.3.4/8/8",
        "fe80::%1/10",
        "10.0.0.0 /8",
        "10.0.0.0/ 8",
        "::ffff:10.0.0.0/8",
        "::ffff:0.0.0.0/95",
        "::ffff:10.0.0.0/129",
        "*",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct netaddr_prefix prefix;
        struct err err = {0};
        assert_false(netaddr_prefix_parse(&prefix, span_of_text(bad[i]), &err));
        assert_int_equal(err.class, ERR_INPUT);
    }
}

static void test_contains(void **state) {
    (void)state;
    const struct {
        const char *prefix, *addr;
        bool contains;
    } rows[] = {
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/9", "10.127.255.255", true},
        {"10.0.0.0/9", "10.128.0.0", false},
        {"0.0.0.0/0", "255.1.1.1", true},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "1.2.3.4", false},
        {"::/0", "ffff::", true},
        {"1.2.3.4", "::ffff:1.2.3.4", true},
        {"fc00::/7", "fdff::1", true},
        {"fc00::/7", "fe00::", false},
        {"::1", "::1", true},
        {"::1", "::2", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct netaddr_prefix prefix = prefix_of(rows[i].prefix);
        struct netaddr addr = ip_of(rows[i].addr);
        assert_int_equal(netaddr_prefix_contains(&prefix, &addr), rows[i].contains);
    }
    struct netaddr_prefix all = prefix_of("0.0.0.0/0"), none = {0};
    struct netaddr nothing = {0};
    assert_false(netaddr_prefix_contains(&all, &nothing));
    assert_false(netaddr_prefix_contains(&none, &nothing));
}

static void test_loopback_and_any(void **state) {
    (void)state;
    const struct {
        const char *text;
        bool loopback, any;
    } rows[] = {
        {"127.0.0.1", true, false},
        {"127.255.255.255", true, false},
        {"128.0.0.1", false, false},
        {"::1", true, false},
        {"::2", false, false},
        {"0.0.0.0", false, true},
        {"::", false, true},
        {"0.0.0.1", false, false},
        {"::ffff:127.0.0.6", true, false},
        {"::ffff:0.0.0.0", false, true},
        {"::7f00:1", false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct netaddr addr = ip_of(rows[i].text);
        assert_int_equal(netaddr_is_loopback(&addr), rows[i].loopback);
        assert_int_equal(netaddr_is_any(&addr), rows[i].any);
    }
    struct netaddr none = {0};
    assert_false(netaddr_is_loopback(&none));
    assert_false(netaddr_is_any(&none));
}

static void test_sockaddr(void **state) {
    (void)state;
    const char *const rows[] = {"1.2.3.4:80", "[2001:db8::1]:443", "[fe80::1%7]:80"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct netaddr addr, back;
        struct err err = {0};
        struct sockaddr_storage sa;
        assert_true(netaddr_parse(&addr, span_of_text(rows[i]), &err));
        socklen_t len = netaddr_to_sockaddr(&addr, &sa);
        assert_int_equal(len, addr.family == NETADDR_V4 ? sizeof(struct sockaddr_in)
                                                        : sizeof(struct sockaddr_in6));
        assert_true(netaddr_from_sockaddr(&back, &sa));
        assert_true(netaddr_equal(&addr, &back));
    }
    struct sockaddr_storage sa = {0};
    struct netaddr addr;
    assert_false(netaddr_from_sockaddr(&addr, &sa));
    sa.ss_family = AF_UNIX;
    assert_false(netaddr_from_sockaddr(&addr, &sa));
    struct netaddr none = {0};
    assert_int_equal(netaddr_to_sockaddr(&none, &sa), 0);
    char text[NETADDR_TEXT_MAX];
    assert_string_equal(netaddr_format(&none, text), "-");
    assert_string_equal(netaddr_format_ip(&none, text), "-");
}

static void test_mapped_and_scoped_sockaddrs(void **state) {
    (void)state;
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    v6.sin6_scope_id = 9;
    const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};
    memcpy(&v6.sin6_addr, mapped, 16);
    struct sockaddr_storage sa = {0};
    memcpy(&sa, &v6, sizeof v6);
    struct netaddr addr;
    char text[NETADDR_TEXT_MAX];
    assert_true(netaddr_from_sockaddr(&addr, &sa));
    assert_string_equal(netaddr_format(&addr, text), "10.0.0.1:80");
    assert_int_equal(addr.scope, 0);
    v6.sin6_addr = in6addr_loopback; // a scope id means something for link-local addresses only
    memcpy(&sa, &v6, sizeof v6);
    assert_true(netaddr_from_sockaddr(&addr, &sa));
    assert_int_equal(addr.scope, 0);
}

static void test_equality_and_hash(void **state) {
    (void)state;
    struct netaddr a = ip_of("10.0.0.1"), b = netaddr_with_port(&a, 80);
    struct netaddr mapped = ip_of("::ffff:10.0.0.1"), other = ip_of("10.0.0.2");
    assert_true(netaddr_ip_equal(&a, &b));
    assert_false(netaddr_equal(&a, &b));
    assert_true(netaddr_equal(&a, &mapped));
    assert_false(netaddr_ip_equal(&a, &other));
    assert_true(netaddr_hash(&a, false) == netaddr_hash(&b, false));
    assert_true(netaddr_hash(&a, true) != netaddr_hash(&b, true));
    assert_true(netaddr_hash(&a, true) == netaddr_hash(&mapped, true));
    struct netaddr v6 = ip_of("a00:1::"); // the same first bytes as 10.0.0.1
    assert_false(netaddr_ip_equal(&a, &v6));
    struct netaddr one = ip_of("fe80::1%1"), two = ip_of("fe80::1%2");
    assert_false(netaddr_ip_equal(&one, &two)); // two hosts on two links
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_with_port),
        cmocka_unit_test(test_bad_addresses_leave_the_output),
        cmocka_unit_test(test_sentences_are_printable),
        cmocka_unit_test(test_parse_ip),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_contains),
        cmocka_unit_test(test_loopback_and_any),
        cmocka_unit_test(test_sockaddr),
        cmocka_unit_test(test_mapped_and_scoped_sockaddrs),
        cmocka_unit_test(test_equality_and_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
