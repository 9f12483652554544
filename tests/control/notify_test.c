#include "agent/control/notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

// A service manager's socket; in the abstract namespace, so that nothing is left behind.
static int manager(char name[64]) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int len = snprintf(name, 64, "@pavise-notify-test-%d", getpid());
    memcpy(addr.sun_path, name, (size_t)len);
    addr.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)),
                     0);
    return fd;
}

static void expect(int fd, const char *want) {
    char got[256] = "";
    ssize_t len = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
    assert_int_equal(len, strlen(want));
    assert_string_equal(got, want);
}

static void test_sends_to_the_manager(void **state) {
    (void)state;
    char name[64];
    int fd = manager(name);
    struct notify notify;
    struct err err = {0};
    setenv("NOTIFY_SOCKET", name, 1);
    assert_true(notify_init(&notify, &err));
    assert_false(notify.wants_watchdog);
    notify_send(&notify, "READY=1\nSTATUS=%s", "fine");
    expect(fd, "READY=1\nSTATUS=fine");
    notify_fini(&notify);
    notify_send(&notify, "STOPPING=1"); // goes nowhere
    assert_true(recv(fd, name, sizeof(name), MSG_DONTWAIT) < 0);
    close(fd);
}

static void test_watchdog_is_for_one_process(void **state) {
    (void)state;
    char name[64];
    char pid[32];
    int fd = manager(name);
    struct notify notify;
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", "10000000", 1);
    assert_true(notify_init(&notify, NULL));
    assert_true(notify.wants_watchdog);
    notify_fini(&notify);
    snprintf(pid, sizeof(pid), "%d", getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_true(notify_init(&notify, NULL));
    assert_true(notify.wants_watchdog);
    notify_fini(&notify);
    setenv("WATCHDOG_PID", "1", 1);
    assert_true(notify_init(&notify, NULL));
    assert_false(notify.wants_watchdog);
    notify_fini(&notify);
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    close(fd);
}

static void test_without_a_manager(void **state) {
    (void)state;
    struct notify notify;
    struct err err = {0};
    unsetenv("NOTIFY_SOCKET");
    assert_true(notify_init(&notify, &err));
    assert_int_equal(notify.fd, -1);
    notify_send(&notify, "READY=1");
    setenv("NOTIFY_SOCKET", "", 1);
    assert_true(notify_init(&notify, &err));
    assert_int_equal(notify.fd, -1);
}

static void test_a_manager_that_cannot_be_reached(void **state) {
    (void)state;
    char too_long[200];
    memset(too_long, 'x', sizeof(too_long) - 1);
    too_long[0] = '/';
    too_long[sizeof(too_long) - 1] = '\0';
    const char *const NAMES[] = {
        "@pavise-nobody-is-there", "/no/such/socket", "relative", "@", "/", too_long};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        struct notify notify;
        struct err err = {0};
        setenv("NOTIFY_SOCKET", NAMES[i], 1);
        assert_false(notify_init(&notify, &err));
        assert_int_equal(err.class, ERR_ENVIRONMENT);
        assert_non_null(strstr(err.msg, "NOTIFY_SOCKET"));
        assert_int_equal(notify.fd, -1);
    }
    unsetenv("NOTIFY_SOCKET");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sends_to_the_manager),
        cmocka_unit_test(test_watchdog_is_for_one_process),
        cmocka_unit_test(test_without_a_manager),
        cmocka_unit_test(test_a_manager_that_cannot_be_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
