#include "certmgr/workload_target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void endpoints_become_grpc_targets(void **state) {
    (void)state;
    static const struct {
        const char *endpoint;
        const char *target;
        bool is_local;
    } ROWS[] = {
        {"unix:///run/pavise/authority.sock", "unix:///run/pavise/authority.sock", true},
        {"unix:///tmp/a[b]^\"c", "unix:///tmp/a%5Bb%5D%5E%22c", true},
        {"unix:///tmp/\xc3\xa9", "unix:///tmp/%C3%A9", true},
        {"tcp://127.0.0.1:8081", "ipv4:127.0.0.1:8081", true},
        {"tcp://10.1.2.3:8081", "ipv4:10.1.2.3:8081", false},
        {"tcp://[::1]:8081", "ipv6:%5B::1%5D:8081", true},
        {"tcp://[2001:db8::1]:8081", "ipv6:%5B2001:db8::1%5D:8081", false},
    };
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct workload_target target;
        struct err err;
        assert_true(workload_target_parse(&target, ROWS[i].endpoint, &err));
        assert_string_equal(target.text, ROWS[i].target);
        assert_int_equal(target.is_local, ROWS[i].is_local);
    }
}

// gRPC would look the last two up as host names.
static void anything_else_is_refused(void **state) {
    (void)state;
    static const char *const BAD[] = {"",
                                      "unix:",
                                      "unix:relative",
                                      "unix://host/path",
                                      "unix:///path?query",
                                      "unix:///path#fragment",
                                      "unix:///a%41",
                                      "unix:///",
                                      "unix-abstract:x",
                                      "tcp://localhost:80",
                                      "tcp://127.0.0.1",
                                      "tcp://127.0.0.1:80/",
                                      "dns:///example.org:80",
                                      "example.org:80"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        struct workload_target target;
        struct err err;
        assert_false(workload_target_parse(&target, BAD[i], &err));
        assert_int_equal(err.class, ERR_INPUT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_become_grpc_targets),
        cmocka_unit_test(anything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
