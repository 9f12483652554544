#include "agent/net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/span.h"

// Long enough that only a hang ends it.
#define WAIT_MS 20000

static struct netaddr address(const char *text) {
    struct netaddr addr;
    struct err err = {0};
    assert_true(netaddr_parse_ip(&addr, span_of_text(text), &err));
    return addr;
}

// A listener on a port of the kernel's choice; *at is where it listens.
static int listen_at(const char *ip, struct netaddr *at) {
    struct netaddr any_port = address(ip);
    struct err err = {0};
    int fd = socket_listen(&any_port, false, &err);
    if (fd < 0) {
        return -1;
    }
    assert_true(socket_local_address(fd, at));
    return fd;
}

static void wait_for(int fd, short events) {
    struct pollfd poll_fd = {.fd = fd, .events = events};
    assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
}

struct pair {
    int listener, client, server;
    struct netaddr at, peer;
};

static void connect_pair(struct pair *pair, const char *ip) {
    pair->listener = listen_at(ip, &pair->at);
    assert_true(pair->listener >= 0);
    int errnum = -1;
    assert_int_equal(socket_connect(&pair->at, &pair->client, &errnum), SOCKET_OK);
    wait_for(pair->listener, POLLIN);
    assert_int_equal(socket_accept(pair->listener, &pair->server, &pair->peer), SOCKET_OK);
    wait_for(pair->client, POLLOUT);
    assert_int_equal(socket_connect_error(pair->client), 0);
}

static void close_pair(struct pair *pair) {
    socket_close(pair->listener);
    socket_close(pair->client);
    socket_close(pair->server);
}

static int option_of(int fd, int level, int option) {
    int value = -1;
    socklen_t len = sizeof value;
    assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

static void assert_flags(int fd) {
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void test_accept_and_connect(void **state) {
    (void)state;
    struct pair pair;
    connect_pair(&pair, "127.0.0.1");
    assert_flags(pair.listener);
    assert_flags(pair.client);
    assert_flags(pair.server);
    assert_int_equal(option_of(pair.client, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option_of(pair.server, IPPROTO_TCP, TCP_NODELAY), 1);
    struct netaddr local;
    assert_true(socket_local_address(pair.client, &local));
    assert_true(netaddr_equal(&local, &pair.peer));
    assert_true(socket_local_address(pair.server, &local));
    assert_true(netaddr_equal(&local, &pair.at));
    int fd;
    assert_int_equal(socket_accept(pair.listener, &fd, &local), SOCKET_AGAIN);
    close_pair(&pair);
}

static void test_ipv6_beside_ipv4_on_one_port(void **state) {
    (void)state;
    struct netaddr at;
    int v6 = listen_at("::", &at);
    if (v6 < 0) {
        skip(); // a host without IPv6
    }
    struct netaddr v4_at = address("0.0.0.0");
    v4_at.port = at.port;
    struct err err = {0};
    int v4 = socket_listen(&v4_at, false, &err);
    assert_true(v4 >= 0);
    socket_close(v4);
    socket_close(v6);
    struct pair pair;
    connect_pair(&pair, "::1");
    assert_true(netaddr_is_loopback(&pair.peer));
    assert_int_equal(pair.peer.family, NETADDR_V6);
    assert_false(socket_original_destination(pair.server, &pair.peer, &at));
    close_pair(&pair);
}

static void test_ports_are_shared_only_when_asked(void **state) {
    (void)state;
    struct netaddr at, any_port = address("127.0.0.1");
    struct err err = {0};
    int first = socket_listen(&any_port, true, &err);
    assert_true(socket_local_address(first, &at));
    int second = socket_listen(&at, true, &err);
    assert_true(second >= 0);
    assert_int_equal(socket_listen(&at, false, &err), -1);
    assert_int_equal(err.class, ERR_ENVIRONMENT);
    assert_int_equal(err.errnum, EADDRINUSE);
    char text[NETADDR_TEXT_MAX], expected[128];
    snprintf(expected, sizeof expected, "cannot listen on %s: Address already in use",
             netaddr_format(&at, text));
    assert_string_equal(err.msg, expected);
    socket_close(first);
    socket_close(second);
    struct netaddr foreign = address("192.0.2.1"), none = {0};
    assert_int_equal(socket_listen(&foreign, false, &err), -1);
    assert_int_equal(err.errnum, EADDRNOTAVAIL);
    assert_int_equal(socket_listen(&none, false, &err), -1);
}

static void test_refused_connect(void **state) {
    (void)state;
    struct netaddr at, none = {0};
    socket_close(listen_at("127.0.0.1", &at)); // now nobody listens there
    int fd, errnum = 0;
    enum socket_outcome outcome = socket_connect(&at, &fd, &errnum);
    if (outcome == SOCKET_OK) {
        wait_for(fd, POLLOUT);
        assert_int_equal(socket_connect_error(fd), ECONNREFUSED);
        assert_int_equal(socket_connect_error(fd), ENOTCONN); // never "connected", never "not yet"
        socket_close(fd);
    } else {
        assert_int_equal(outcome, SOCKET_FAILED);
        assert_int_equal(errnum, ECONNREFUSED);
        assert_int_equal(fd, -1);
    }
    assert_int_equal(socket_connect(&none, &fd, &errnum), SOCKET_FAILED);
    assert_int_equal(errnum, EAFNOSUPPORT);
    assert_int_equal(fd, -1);
}

// With a full backlog the kernel answers no SYN: these connects are under way for long.
static void test_connect_under_way(void **state) {
    (void)state;
    struct netaddr at = address("127.0.0.1");
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_storage sa;
    socklen_t len = netaddr_to_sockaddr(&at, &sa);
    assert_int_equal(bind(listener, (struct sockaddr *)(void *)&sa, len), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_true(socket_local_address(listener, &at));
    int fds[8], num_pending = 0, num_connected = 0;
    for (int i = 0; i < 8; i++) {
        int errnum;
        assert_int_equal(socket_connect(&at, &fds[i], &errnum), SOCKET_OK);
    }
    for (int i = 0; i < 8; i++) {
        int error = socket_connect_error(fds[i]);
        num_connected += error == 0;
        num_pending += error == EINPROGRESS;
        socket_close(fds[i]);
    }
    assert_true(num_pending > 0);
    assert_true(num_connected > 0);
    assert_int_equal(num_pending + num_connected, 8);
    socket_close(listener);
}

static bool is_early; // the next getpeername() has looked before the connection was there

// The C library's comes after this one.
int getpeername(int fd, __SOCKADDR_ARG addr, socklen_t *restrict len) {
    if (is_early) {
        is_early = false;
        errno = ENOTCONN;
        return -1;
    }
    return (int)syscall(SYS_getpeername, fd, addr, len);
}

// A busy machine takes its time between two system calls.
static void test_connected_while_looking(void **state) {
    (void)state;
    struct pair pair;
    connect_pair(&pair, "127.0.0.1");
    is_early = true;
    assert_int_equal(socket_connect_error(pair.client), 0);
    assert_false(is_early);
    close_pair(&pair);
}

static void test_descriptor_exhaustion_is_its_own_outcome(void **state) {
    (void)state;
    struct netaddr at, peer;
    int listener = listen_at("127.0.0.1", &at);
    int client, fd = 77, errnum = 0;
    assert_int_equal(socket_connect(&at, &client, &errnum), SOCKET_OK);
    wait_for(listener, POLLIN);
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    enum socket_outcome accepted = socket_accept(listener, &fd, &peer);
    int other = 0;
    enum socket_outcome connected = socket_connect(&at, &other, &errnum);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(accepted, SOCKET_EXHAUSTED);
    assert_int_equal(fd, 77);
    assert_int_equal(connected, SOCKET_EXHAUSTED);
    assert_int_equal(errnum, EMFILE);
    assert_int_equal(other, -1);
    assert_int_equal(socket_accept(listener, &fd, &peer), SOCKET_OK); // nothing was lost
    socket_close(fd);
    socket_close(client);
    socket_close(listener);
}

static void test_finish_leaves_the_other_direction(void **state) {
    (void)state;
    struct pair pair;
    connect_pair(&pair, "127.0.0.1");
    char text[8];
    socket_finish(pair.client);
    wait_for(pair.server, POLLIN);
    assert_int_equal(recv(pair.server, text, sizeof text, 0), 0);
    assert_int_equal(send(pair.server, "late", 4, 0), 4);
    wait_for(pair.client, POLLIN);
    assert_int_equal(recv(pair.client, text, sizeof text, 0), 4);
    socket_finish(pair.server);
    socket_finish(pair.server); // of a connection that is gone: harmless
    close_pair(&pair);
}

static void test_reset_is_seen_as_reset(void **state) {
    (void)state;
    struct pair pair;
    connect_pair(&pair, "127.0.0.1");
    char text[8];
    assert_int_equal(send(pair.client, "lost", 4, 0), 4);
    socket_reset(pair.client);
    pair.client = -1;
    wait_for(pair.server, POLLHUP);
    ssize_t got;
    do { // what came before the reset may still be readable
        got = recv(pair.server, text, sizeof text, 0);
    } while (got > 0);
    assert_int_equal(got, -1);
    assert_int_equal(errno, ECONNRESET);
    close_pair(&pair);
    socket_close(-1);
}

static void test_a_direct_dial_has_no_original_destination(void **state) {
    (void)state;
    struct pair pair;
    connect_pair(&pair, "127.0.0.1");
    struct netaddr before = address("192.0.2.7"), out = before;
    assert_false(socket_original_destination(pair.server, &pair.peer, &out));
    assert_true(netaddr_equal(&out, &before));
    // The wrong level, as a peer of the other family would choose it, has no answer either.
    struct netaddr v6 = address("2001:db8::1");
    assert_false(socket_original_destination(pair.server, &v6, &out));
    assert_false(socket_original_destination(-1, &pair.peer, &out));
    assert_false(socket_local_address(-1, &out));
    close_pair(&pair);
}

static void test_options(void **state) {
    (void)state;
    struct pair pair;
    connect_pair(&pair, "127.0.0.1");
    socket_keepalive(pair.client, 15, 7, 3);
    socket_user_timeout(pair.client, 20000);
    assert_int_equal(option_of(pair.client, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option_of(pair.client, IPPROTO_TCP, TCP_KEEPIDLE), 15);
    assert_int_equal(option_of(pair.client, IPPROTO_TCP, TCP_KEEPINTVL), 7);
    assert_int_equal(option_of(pair.client, IPPROTO_TCP, TCP_KEEPCNT), 3);
    assert_int_equal(option_of(pair.client, IPPROTO_TCP, TCP_USER_TIMEOUT), 20000);
    close_pair(&pair);
}

static void test_the_last_bytes_leave_with_the_fin(void **state) {
    (void)state;
    struct pair pair;
    connect_pair(&pair, "127.0.0.1");
    char text[] = "bye";
    struct iovec run = {.iov_base = text, .iov_len = 3};
    char got[8];
    assert_int_equal(socket_send(pair.client, &run, 1, true), 3);
    assert_int_equal(recv(pair.server, got, sizeof got, MSG_DONTWAIT), -1);
    socket_finish(pair.client);
    assert_int_equal(recv(pair.server, got, sizeof got, 0), 3);
    assert_memory_equal(got, "bye", 3);
    assert_int_equal(recv(pair.server, got, sizeof got, 0), 0);
    close_pair(&pair);
}

static void test_unacknowledged_bytes(void **state) {
    (void)state;
    struct pair pair;
    connect_pair(&pair, "127.0.0.1");
    assert_int_equal(socket_unacknowledged(pair.client), 0);
    static char bytes[65536];
    size_t sent = 0, received = 0;
    ssize_t put;
    while ((put = send(pair.client, bytes, sizeof bytes, 0)) > 0) {
        sent += (size_t)put;
    }
    assert_int_equal(errno, EAGAIN);
    assert_in_range(socket_unacknowledged(pair.client), 1, sent);
    while (received < sent) {
        wait_for(pair.server, POLLIN);
        ssize_t got = recv(pair.server, bytes, sizeof bytes, 0);
        assert_true(got > 0);
        received += (size_t)got;
    }
    for (int i = 0; i < WAIT_MS && socket_unacknowledged(pair.client) > 0; i++) {
        poll(NULL, 0, 1); // the last acknowledgement may be delayed
    }
    assert_int_equal(socket_unacknowledged(pair.client), 0);
    assert_int_equal(socket_unacknowledged(pair.listener), 0);
    assert_int_equal(socket_unacknowledged(-1), 0);
    close_pair(&pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept_and_connect),
        cmocka_unit_test(test_ipv6_beside_ipv4_on_one_port),
        cmocka_unit_test(test_ports_are_shared_only_when_asked),
        cmocka_unit_test(test_refused_connect),
        cmocka_unit_test(test_connect_under_way),
        cmocka_unit_test(test_connected_while_looking),
        cmocka_unit_test(test_descriptor_exhaustion_is_its_own_outcome),
        cmocka_unit_test(test_finish_leaves_the_other_direction),
        cmocka_unit_test(test_reset_is_seen_as_reset),
        cmocka_unit_test(test_a_direct_dial_has_no_original_destination),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_the_last_bytes_leave_with_the_fin),
        cmocka_unit_test(test_unacknowledged_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
