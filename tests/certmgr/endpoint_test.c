#include "certmgr/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void expect(const char *text, bool good) {
    struct err err = {0};
    bool ok = endpoint_check(span_of_text(text), &err);
    if (ok != good) {
        fail_msg("\"%s\": %s", text, ok ? "is accepted" : err.msg);
    }
    assert_int_equal(err.msg[0] == '\0', good);
    if (!good) {
        assert_int_equal(err.class, ERR_INPUT);
    }
}

static void test_good(void **state) {
    (void)state;
    expect("unix:///run/pavise/authority.sock", true);
    expect("unix:///x", true);
    expect("tcp://127.0.0.1:8081", true);
    expect("tcp://[::1]:8081", true);
}

static void test_bad(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "/run/x",
        "unix:",
        "unix:x",
        "unix:/x",
        "unix://x",
        "unix://host/x",
        "unix:///",
        "unix:///x/",
        "unix:///x?y",
        "unix:///x#y",
        "unix:///x%2fy",
        "unix:///x y",
        "UNIX:///x",
        "http://127.0.0.1:80",
        "tcp://localhost:80",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://127.0.0.1:0",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:80/",
        "tcp://127.0.0.1:80/foo",
        "tcp://127.0.0.1:80?x",
        "tcp://u@127.0.0.1:80",
        "tcp://::1:80",
        "tcp:127.0.0.1:80",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        expect(bad[i], false);
    }
    struct err err;
    assert_false(endpoint_check(span_of("unix:///a\0b", 11), &err));
}

static void test_a_path_fits_a_socket_address(void **state) {
    (void)state;
    char path[200];
    snprintf(path, sizeof path, "unix:///%0106d", 0); // 107 bytes with the slash
    expect(path, true);
    snprintf(path, sizeof path, "unix:///%0107d", 0);
    expect(path, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_a_path_fits_a_socket_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
