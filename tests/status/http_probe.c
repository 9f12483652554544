#include "tests/status/http_probe.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <ev.h>

#define TURNS_MAX 30000 // of a millisecond; only a hanging test gets there

struct netaddr http_probe_free_address(void) {
    struct netaddr address;
    struct sockaddr_storage sa;
    assert_true(netaddr_parse_ip(&address, span_of_text("127.0.0.1"), NULL));
    socklen_t len = netaddr_to_sockaddr(&address, &sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_true(netaddr_from_sockaddr(&address, &sa));
    close(fd);
    return address;
}

int http_probe_connect(const struct netaddr *to) {
    struct sockaddr_storage sa;
    socklen_t len = netaddr_to_sockaddr(to, &sa);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
    return fd;
}

void http_probe_turn(struct ev_loop *loop, int turns) {
    for (int i = 0; i < turns; i++) {
        ev_run(loop, EVRUN_NOWAIT);
    }
}

static void wait_turn(struct ev_loop *loop, int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    (void)poll(&p, 1, 1);
    ev_run(loop, EVRUN_NOWAIT);
}

void http_probe_send(struct ev_loop *loop, int fd, const void *bytes, size_t len) {
    const char *at = bytes;
    for (int turns = 0; len > 0; turns++) {
        assert_true(turns < TURNS_MAX);
        ssize_t sent = send(fd, at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            return; // the server has had enough
        }
        at += sent > 0 ? sent : 0;
        len -= sent > 0 ? (size_t)sent : 0;
        wait_turn(loop, fd, POLLOUT);
    }
}

bool http_probe_read_all(struct ev_loop *loop, int fd, struct buf *all) {
    char bytes[65536];
    for (int turns = 0; turns < TURNS_MAX; turns++) {
        ev_run(loop, EVRUN_NOWAIT);
        ssize_t len = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (len > 0) {
            assert_true(buf_append(all, bytes, (size_t)len));
        } else if (len == 0 || errno != EAGAIN) {
            close(fd);
            return len == 0;
        } else {
            wait_turn(loop, fd, POLLIN);
        }
    }
    fail_msg("the server does not end the connection");
    return false;
}

struct buf http_probe_drain(struct ev_loop *loop, int fd) {
    struct buf all = {0};
    (void)http_probe_read_all(loop, fd, &all);
    return all;
}

bool http_probe_is_closed(struct ev_loop *loop, int fd, int turns) {
    char byte;
    http_probe_turn(loop, turns);
    ssize_t len = recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return len == 0 || (len < 0 && errno != EAGAIN);
}

void http_reply_fini(struct http_reply *reply) {
    free(reply->head);
    free(reply->body);
}

struct http_reply http_probe_ask(struct ev_loop *loop, const struct netaddr *to,
                                 const char *request) {
    struct http_reply reply = {0};
    int fd = http_probe_connect(to);
    http_probe_send(loop, fd, request, strlen(request));
    struct buf all = http_probe_drain(loop, fd);
    size_t len = all.len;
    char *text = buf_take_text(&all);
    assert_non_null(text);
    assert_int_equal(strlen(text), len); // no NUL ever
    assert_int_equal(sscanf(text, "HTTP/1.1 %u ", &reply.status), 1);
    char *end = strstr(text, "\r\n\r\n");
    assert_non_null(end);
    reply.body = strdup(end + 4);
    end[4] = '\0';
    reply.head = text;
    return reply;
}

struct http_reply http_probe_simple(struct ev_loop *loop, const struct netaddr *to,
                                    const char *method, const char *target) {
    char request[512];
    (void)snprintf(request, sizeof(request),
                   "%s %s HTTP/1.1\r\nHost: localhost:%u\r\nConnection: close\r\n\r\n", method,
                   target, to->port);
    return http_probe_ask(loop, to, request);
}
