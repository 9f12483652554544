#include "agent/status/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct http_request request_of(const char *host) {
    struct http_request request = {.head = {.verb = HTTP_VERB_GET, .host = host, .fetch_site = ""}};
    assert_true(netaddr_parse(&request.peer, span_of_text("127.0.0.1:4000"), NULL));
    return request;
}

static unsigned status_of_host(const char *host) {
    struct http_request request = request_of(host);
    return guard_decide(&request, false).status;
}

static void test_hosts(void **state UNUSED) {
    static const char *const good[] = {
        "localhost", "localhost:15020", "LocalHost",   "127.0.0.1", "127.0.0.1:15020",
        "127.8.9.1", "127.0.0.1:1",     "[::1]:15020", "[::1]",
    };
    static const char *const bad[] = {
        "",
        "localhost.evil.example",
        "evil.example",
        "evil.example:15020",
        "localhost:",
        "localhost:x",
        "localhost:15020x",
        "localhost:123456",
        "127.0.0.1.evil.example",
        "127.0.0.1:15020:1",
        "10.0.0.1:15020",
        "0.0.0.0",
        "[::]",
        "[::1",
        "::1",
        "[localhost]",
        "[::1]evil",
        "[fe80::1]:15020",
        "2130706433",
        "0x7f.1",
        "127.1",
        "localhost localhost",
        " localhost",
        "user@localhost",
        ":15020",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(status_of_host(good[i]), 0);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(status_of_host(bad[i]), 421);
    }
}

static void test_origin(void **state UNUSED) {
    struct http_request request = request_of("localhost");
    request.head.has_origin = true;
    assert_int_equal(guard_decide(&request, false).status, 403);
    assert_int_equal(guard_decide(&request, true).status, 403);
}

static void test_fetch_site(void **state UNUSED) {
    static const struct {
        const char *value;
        unsigned status;
    } rows[] = {
        {"none", 0}, {"same-origin", 0},   {"same-site", 403},  {"cross-site", 403},
        {"", 403},   {"Same-Origin", 403}, {"none, none", 403},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http_request request = request_of("localhost");
        request.head.has_fetch_site = true;
        request.head.fetch_site = rows[i].value;
        assert_int_equal(guard_decide(&request, false).status, rows[i].status);
        assert_int_equal(guard_decide(&request, true).status, rows[i].status);
    }
}

static void test_peer(void **state UNUSED) {
    struct http_request request = request_of("localhost");
    assert_int_equal(guard_decide(&request, true).status, 0);
    assert_true(netaddr_parse(&request.peer, span_of_text("10.0.0.9:4000"), NULL));
    assert_int_equal(guard_decide(&request, true).status, 403);
    assert_int_equal(guard_decide(&request, false).status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_origin),
        cmocka_unit_test(test_fetch_site),
        cmocka_unit_test(test_peer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
