// Names to addresses: literals, the hosts file, and servers that do not answer.
#include "certmgr/resolve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

static struct patience patience_of(int cancel_fd) {
    return (struct patience){.cancel_fd = cancel_fd, .deadline_ms = clock_mono_ms() + 10000};
}

static void literals_need_no_server(void **state) {
    (void)state;
    static const char *const hosts[] = {"127.0.0.1", "::1", "192.0.2.7", "2001:db8::7"};
    struct patience patience = {.cancel_fd = -1, .deadline_ms = 0}; // no patience at all
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        struct resolve_result result;
        struct err err;
        char text[NETADDR_TEXT_MAX];
        assert_true(resolve_host(hosts[i], 443, &patience, &result, &err));
        assert_int_equal(result.num, 1);
        assert_string_equal(netaddr_format_ip(&result.addr[0], text), hosts[i]);
        assert_int_equal(result.addr[0].port, 443);
    }
}

static void localhost_is_in_the_hosts_file(void **state) {
    (void)state;
    struct patience patience = patience_of(-1);
    struct resolve_result result;
    struct err err;
    assert_true(resolve_host("localhost", 15012, &patience, &result, &err));
    assert_true(result.num >= 1);
    for (size_t i = 0; i < result.num; i++) {
        assert_true(netaddr_is_loopback(&result.addr[i]));
        assert_int_equal(result.addr[i].port, 15012);
    }
}

static void names_that_cannot_be(void **state) {
    (void)state;
    static const char *const hosts[] = {"", "a..b", "with space.invalid"};
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        struct patience patience = patience_of(-1);
        struct resolve_result result;
        struct err err = {0};
        if (!resolve_host(hosts[i], 1, &patience, &result, &err)) {
            assert_true(err.msg[0] != '\0');
        }
    }
}

static void it_can_be_called_off(void **state) {
    (void)state;
    int cancel_fd = eventfd(1, EFD_CLOEXEC);
    struct patience patience = patience_of(cancel_fd);
    struct resolve_result result;
    struct err err = {0};
    assert_false(resolve_host("host.invalid", 1, &patience, &result, &err));
    assert_true(err.msg[0] != '\0');
    close(cancel_fd);
}

static void patience_ends(void **state) {
    (void)state;
    struct patience patience = {.cancel_fd = -1, .deadline_ms = clock_mono_ms() - 1};
    struct resolve_result result;
    struct err err = {0};
    assert_false(resolve_host("host.invalid", 1, &patience, &result, &err));
    assert_non_null(strstr(err.msg, "host.invalid"));
}

static void several_at_once(void **state) {
    (void)state;
    enum { NUM = 70 }; // more than go together
    struct resolve_job jobs[NUM];
    struct patience patience = patience_of(-1);
    for (size_t i = 0; i < NUM; i++) {
        jobs[i] = (struct resolve_job){.host = i % 2 == 0 ? "localhost" : "192.0.2.7"};
    }
    resolve_hosts(jobs, NUM, &patience);
    for (size_t i = 0; i < NUM; i++) {
        assert_int_equal(jobs[i].outcome, RESOLVE_FOUND);
        assert_true(jobs[i].result.num >= 1);
        assert_true(netaddr_is_loopback(&jobs[i].result.addr[0]) == (i % 2 == 0));
        assert_int_equal(jobs[i].result.addr[0].port, 0);
    }
    int cancel_fd = eventfd(1, EFD_CLOEXEC);
    struct resolve_job off[2] = {{.host = "host.invalid"}, {.host = "other.invalid"}};
    patience = patience_of(cancel_fd);
    resolve_hosts(off, 2, &patience);
    assert_int_equal(off[1].outcome, RESOLVE_FAILED);
    assert_non_null(strstr(off[1].why, "other.invalid"));
    close(cancel_fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_need_no_server), cmocka_unit_test(localhost_is_in_the_hosts_file),
        cmocka_unit_test(names_that_cannot_be),    cmocka_unit_test(it_can_be_called_off),
        cmocka_unit_test(patience_ends),           cmocka_unit_test(several_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
