#include "agent/net/handed.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/net/socket.h"

static bool is_open(int fd) {
    return fcntl(fd, F_GETFD) >= 0;
}

static int listen_anywhere(struct netaddr *at, bool shared) {
    struct netaddr want = *at;
    want.family = NETADDR_V4;
    want.ip[0] = 127;
    want.ip[3] = 1;
    int fd = socket_listen(&want, shared, NULL);
    assert_true(fd >= 0);
    assert_true(socket_local_address(fd, at));
    return fd;
}

static void test_taken_by_address_in_order(void **state) {
    (void)state;
    OWNED(handed_free) struct handed *handed = handed_new();
    struct netaddr one = {0};
    struct netaddr other = {0};
    int first = listen_anywhere(&one, true);
    int second = listen_anywhere(&one, true); // the same address once more
    int third = listen_anywhere(&other, false);
    struct err err = {0};
    assert_true(handed_add(handed, first, "a", &err));
    assert_true(handed_add(handed, third, "b", &err));
    assert_true(handed_add(handed, second, "c", &err));
    assert_int_equal(handed_num(handed), 3);
    assert_int_equal(handed_take(handed, &one), first);
    assert_int_equal(handed_take(handed, &one), second);
    assert_int_equal(handed_take(handed, &one), -1);
    assert_int_equal(handed_num(handed), 1);
    assert_string_equal(handed_name(handed, 0), "b");
    assert_true(netaddr_equal(handed_address(handed, 0), &other));
    socket_close(first);
    socket_close(second);
    handed_free(take(&handed));
    assert_false(is_open(third)); // what nobody took is closed
    assert_int_equal(handed_take(NULL, &one), -1);
    assert_int_equal(handed_num(NULL), 0);
}

static void test_becomes_one_of_ours(void **state) {
    (void)state;
    OWNED(handed_free) struct handed *handed = handed_new();
    struct netaddr at = {0};
    int fd = listen_anywhere(&at, false);
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0); // as systemd hands it in: it blocks, and is
    assert_int_equal(fcntl(fd, F_SETFD, 0), 0); // inherited
    assert_true(handed_add(handed, fd, "a", NULL));
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

// What is no listening TCP socket is closed, and the sentence names it.
static void refuse(int fd) {
    OWNED(handed_free) struct handed *handed = handed_new();
    struct err err = {0};
    assert_false(handed_add(handed, fd, "odd", &err));
    assert_int_equal(err.class, ERR_ENVIRONMENT);
    assert_non_null(strstr(err.msg, "\"odd\""));
    assert_int_equal(handed_num(handed), 0);
    if (fd >= 0) {
        assert_false(is_open(fd));
    }
}

static void test_refuses_what_does_not_listen(void **state) {
    (void)state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    refuse(pair[0]);
    close(pair[1]);
    refuse(socket(AF_INET, SOCK_STREAM, 0));
    refuse(socket(AF_INET, SOCK_DGRAM, 0));
    refuse(open("/dev/null", O_RDONLY));
    refuse(-1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken_by_address_in_order),
        cmocka_unit_test(test_becomes_one_of_ours),
        cmocka_unit_test(test_refuses_what_does_not_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
