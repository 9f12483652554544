// Every form of an address, and why it could not be reached.
#include "agent/audit/audit_target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#include "agent/net/socket.h"
#include "base/clock.h"
#include "tests/audit/audit_fixture.h"

static struct patience patience(void) {
    return (struct patience){.cancel_fd = -1, .deadline_ms = clock_mono_ms() + 20000};
}

static void expect_reached(struct collector *collector, const char *address) {
    struct patience enough = patience();
    struct err err = {0};
    int fd = audit_target_dial(address, &enough, &err);
    if (fd < 0) {
        fail_msg("%s: %s", address, err.msg);
    }
    collector_accept(collector);
    collector_hang_up(collector);
    socket_close(fd);
}

static void test_reached(void **state) {
    (void)state;
    struct collector collector;
    char by_name[160];
    collector_open(&collector);
    expect_reached(&collector, collector.address);
    snprintf(by_name, sizeof(by_name), "localhost%s", strchr(collector.address, ':'));
    expect_reached(&collector, by_name); // ::1 refuses it, where localhost is both
    collector_close(&collector);
    collector_open_unix(&collector);
    expect_reached(&collector, collector.address);
    collector_close(&collector);
}

static void expect_failure(const char *address, const char *why) {
    struct patience enough = patience();
    struct err err = {0};
    assert_int_equal(audit_target_dial(address, &enough, &err), -1);
    if (strstr(err.msg, why) == NULL) {
        fail_msg("%s: %s", address, err.msg);
    }
}

static void test_not_reached(void **state) {
    (void)state;
    struct collector collector;
    collector_open(&collector);
    char address[sizeof(collector.address)];
    memcpy(address, collector.address, sizeof(address));
    collector_close(&collector);
    expect_failure(address, "Connection refused");
    expect_failure("unix:///nowhere/at/all", "cannot connect to /nowhere/at/all: No such file");
}

// Whoever wants the thread back gets it at once.
static void test_called_off(void **state) {
    (void)state;
    struct err err = {0};
    struct patience called_off = patience();
    called_off.cancel_fd = eventfd(1, EFD_CLOEXEC);
    assert_int_equal(audit_target_dial("collector.invalid:1", &called_off, &err), -1);
    socket_close(called_off.cancel_fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reached),
        cmocka_unit_test(test_not_reached),
        cmocka_unit_test(test_called_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
