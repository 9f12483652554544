// An address that swallows packets stands first: a listener on loopback whose queue is full.
#include "certmgr/dial.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/netaddr.h"
#include "base/span.h"

enum { FILLERS = 4 };

static int listen_at(struct netaddr *addr, int backlog) {
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(netaddr_parse_ip(addr, span_of_text("127.0.0.1"), &(struct err){0}));
    socklen_t wanted = netaddr_to_sockaddr(addr, &sa);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, wanted), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    addr->port = ntohs(((struct sockaddr_in *)&sa)->sin_port);
    return fd;
}

static int begin_connect(const struct netaddr *addr) {
    struct sockaddr_storage sa;
    socklen_t len = netaddr_to_sockaddr(addr, &sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)connect(fd, (struct sockaddr *)&sa, len);
    return fd;
}

static struct patience within_s(int64_t seconds) {
    return (struct patience){.cancel_fd = -1, .deadline_ms = clock_mono_ms() + seconds * 1000};
}

static void test_one_that_does_not_answer(void **state) {
    (void)state;
    struct err err = {0};
    struct resolve_result to = {.num = 2};
    int full = listen_at(&to.addr[0], 0);
    int open = listen_at(&to.addr[1], 8);
    int fillers[FILLERS];
    for (int i = 0; i < FILLERS; i++) {
        fillers[i] = begin_connect(&to.addr[0]);
    }
    struct patience patience = within_s(2);
    int fd = dial_any(&to, &patience, &err);
    assert_true(fd >= 0);
    close(fd);
    struct resolve_result silent = {.num = 1};
    silent.addr[0] = to.addr[0];
    patience = within_s(1);
    assert_int_equal(dial_any(&silent, &patience, &err), -1); // it is one, indeed
    assert_non_null(strstr(err.msg, "timed out"));
    for (int i = 0; i < FILLERS; i++) {
        close(fillers[i]);
    }
    close(full);
    close(open);
}

static void test_one_that_refuses(void **state) {
    (void)state;
    struct err err = {0};
    struct resolve_result to = {.num = 2};
    int gone = listen_at(&to.addr[0], 8);
    int open = listen_at(&to.addr[1], 8);
    close(gone);
    struct patience patience = within_s(60);
    int fd = dial_any(&to, &patience, &err);
    assert_true(fd >= 0);
    close(fd);
    close(open);
    assert_int_equal(dial_any(&to, &patience, &err), -1);
    assert_non_null(strstr(err.msg, "cannot connect to 127.0.0.1"));
}

static void test_stopped(void **state) {
    (void)state;
    struct err err = {0};
    int ends[2];
    struct resolve_result to = {.num = 1};
    int full = listen_at(&to.addr[0], 0);
    int fillers[FILLERS];
    for (int i = 0; i < FILLERS; i++) {
        fillers[i] = begin_connect(&to.addr[0]);
    }
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    close(ends[1]); // readable
    struct patience patience = within_s(60);
    patience.cancel_fd = ends[0];
    assert_int_equal(dial_any(&to, &patience, &err), -1);
    assert_non_null(strstr(err.msg, "stopped"));
    for (int i = 0; i < FILLERS; i++) {
        close(fillers[i]);
    }
    close(ends[0]);
    close(full);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_that_does_not_answer),
        cmocka_unit_test(test_one_that_refuses),
        cmocka_unit_test(test_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
