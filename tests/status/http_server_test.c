#include "agent/status/http_server.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <ev.h>

#include "tests/status/http_probe.h"

#define GET_KEEP "GET /%zu HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define GET_CLOSE "GET /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

struct fixture {
    struct ev_loop *loop;
    struct http_server *server;
    struct http_listener *listener;
    struct netaddr address;
    size_t body_len; // 0: the path is the body
    unsigned handled;
};

static void handle(void *arg, const struct http_request *request, struct http_response *response) {
    struct fixture *f = arg;
    f->handled++;
    response->status = 200;
    if (f->body_len == 0) {
        assert_true(buf_append(&response->body, request->head.path.ptr, request->head.path.len));
        assert_true(buf_append_text(&response->body, ";"));
        return;
    }
    uint8_t *into = buf_reserve(&response->body, f->body_len);
    assert_non_null(into);
    memset(into, 'x', f->body_len);
    buf_commit(&response->body, f->body_len);
}

static struct fixture *start(int64_t deadline_ms, unsigned connections_max) {
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->loop = ev_loop_new(EVFLAG_AUTO);
    f->server = http_server_new(f->loop, (struct http_server_options){
                                             .handle = handle,
                                             .arg = f,
                                             .deadline_ms = deadline_ms,
                                             .connections_max = connections_max,
                                         });
    assert_non_null(f->server);
    f->address = http_probe_free_address();
    f->listener = http_server_listen(f->server, &f->address, 1, NULL);
    assert_non_null(f->listener);
    return f;
}

static void stop(struct fixture *f) {
    http_server_free(f->server);
    ev_loop_destroy(f->loop);
    free(f);
}

static void test_pipeline(void **state UNUSED) {
    struct fixture *f = start(0, 0);
    struct buf requests = {0};
    for (size_t i = 0; i < 300; i++) {
        assert_true(buf_printf(&requests, GET_KEEP, i));
    }
    assert_true(buf_append_text(&requests, GET_CLOSE));
    int fd = http_probe_connect(&f->address);
    http_probe_send(f->loop, fd, buf_span(&requests).ptr, requests.len);
    struct buf all = http_probe_drain(f->loop, fd);
    char *text = buf_take_text(&all);
    const char *at = text;
    for (size_t i = 0; i < 300; i++) { // in order, each once
        char expected[32];
        (void)snprintf(expected, sizeof(expected), "\r\n\r\n/%zu;HTTP", i);
        at = strstr(at, expected);
        assert_non_null(at);
    }
    assert_int_equal(f->handled, 301);
    assert_non_null(strstr(at, "\r\n\r\n/last;"));
    free(text);
    buf_fini(&requests);
    stop(f);
}

static void test_byte_by_byte(void **state UNUSED) {
    struct fixture *f = start(0, 0);
    int fd = http_probe_connect(&f->address);
    for (size_t i = 0; i < sizeof(GET_CLOSE) - 1; i++) {
        http_probe_send(f->loop, fd, &GET_CLOSE[i], 1);
        http_probe_turn(f->loop, 2);
    }
    struct buf all = http_probe_drain(f->loop, fd);
    assert_memory_equal(buf_span(&all).ptr, "HTTP/1.1 200 OK\r\n", 17);
    buf_fini(&all);
    stop(f);
}

static void test_head_has_no_body(void **state UNUSED) {
    struct fixture *f = start(0, 0);
    HTTP_REPLY reply = http_probe_simple(f->loop, &f->address, "HEAD", "/abc");
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.head, "Content-Length: 5\r\n"));
    assert_string_equal(reply.body, "");
    stop(f);
}

static void test_half_closed_client_is_answered(void **state UNUSED) {
    struct fixture *f = start(0, 0);
    int fd = http_probe_connect(&f->address);
    http_probe_send(f->loop, fd, GET_CLOSE, sizeof(GET_CLOSE) - 1);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    struct buf all = http_probe_drain(f->loop, fd);
    assert_true(all.len > 0);
    buf_fini(&all);
    stop(f);
}

static void test_slow_request_is_cut(void **state UNUSED) {
    struct fixture *f = start(100, 0);
    int fd = http_probe_connect(&f->address);
    http_probe_send(f->loop, fd, "GET / HTTP/1.1\r\nHost: x", 22);
    struct buf all = http_probe_drain(f->loop, fd);
    assert_memory_equal(buf_span(&all).ptr, "HTTP/1.1 408 ", 13);
    buf_fini(&all);
    assert_int_equal(f->handled, 0);
    stop(f);
}

static void test_silent_client_is_cut(void **state UNUSED) {
    struct fixture *f = start(100, 0);
    struct buf all = http_probe_drain(f->loop, http_probe_connect(&f->address));
    assert_int_equal(all.len, 0);
    assert_int_equal(http_listener_connections(f->listener), 0);
    stop(f);
}

// A reader that takes a little now and then: the answer has one deadline as a whole.
static void test_slow_reader_is_cut(void **state UNUSED) {
    struct fixture *f = start(200, 0);
    f->body_len = 24 * 1024 * 1024;
    int fd = http_probe_connect(&f->address);
    http_probe_send(f->loop, fd, GET_CLOSE, sizeof(GET_CLOSE) - 1);
    size_t got = 0;
    while (http_listener_connections(f->listener) > 0 || f->handled == 0) {
        char bytes[512];
        usleep(2000);
        ssize_t len = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        got += len > 0 ? (size_t)len : 0;
        ev_run(f->loop, EVRUN_NOWAIT);
    }
    assert_true(got < f->body_len);
    close(fd);
    stop(f);
}

static void test_large_answer_arrives(void **state UNUSED) {
    struct fixture *f = start(0, 0);
    f->body_len = 24 * 1024 * 1024;
    int fd = http_probe_connect(&f->address);
    http_probe_send(f->loop, fd, GET_CLOSE, sizeof(GET_CLOSE) - 1);
    struct buf all = http_probe_drain(f->loop, fd);
    assert_true(all.len > f->body_len);
    buf_fini(&all);
    stop(f);
}

// Unread answers are bounded over the whole server: further ones are refused, small, until then.
static void test_output_is_bounded(void **state UNUSED) {
    struct fixture *f = start(0, 0);
    int fds[4];
    f->body_len = 24 * 1024 * 1024;
    for (size_t i = 0; i < 3; i++) {
        fds[i] = http_probe_connect(&f->address);
        http_probe_send(f->loop, fds[i], GET_CLOSE, sizeof(GET_CLOSE) - 1);
        http_probe_turn(f->loop, 20);
    }
    assert_int_equal(f->handled, 2);
    struct buf all = http_probe_drain(f->loop, fds[2]);
    assert_memory_equal(buf_span(&all).ptr, "HTTP/1.1 503 ", 13);
    buf_fini(&all);
    close(fds[0]);
    close(fds[1]);
    http_probe_turn(f->loop, 20);
    f->body_len = 0;
    HTTP_REPLY reply = http_probe_simple(f->loop, &f->address, "GET", "/again");
    assert_string_equal(reply.body, "/again;");
    stop(f);
}

// At the limit the oldest silent connection gives way to somebody who asks.
static void test_connections_are_bounded(void **state UNUSED) {
    struct fixture *f = start(0, 4);
    int fds[12];
    for (size_t i = 0; i < 12; i++) {
        fds[i] = http_probe_connect(&f->address);
        http_probe_turn(f->loop, 3);
        assert_true(http_listener_connections(f->listener) <= 4);
    }
    for (size_t i = 0; i < 12; i++) {
        assert_int_equal(http_probe_is_closed(f->loop, fds[i], 1), i < 8);
    }
    HTTP_REPLY reply = http_probe_simple(f->loop, &f->address, "GET", "/in");
    assert_string_equal(reply.body, "/in;");
    for (size_t i = 0; i < 12; i++) {
        close(fds[i]);
    }
    http_probe_turn(f->loop, 5);
    assert_int_equal(http_listener_connections(f->listener), 0);
    stop(f);
}

// Whoever has connected is owed an answer; who was answered and keeps the connection is not.
static void test_busy_until_all_are_answered(void **state UNUSED) {
    struct fixture *f = start(0, 0);
    assert_false(http_server_is_busy(f->server));
    int fd = http_probe_connect(&f->address);
    http_probe_turn(f->loop, 3);
    assert_true(http_server_is_busy(f->server));
    http_probe_send(f->loop, fd, "GET /", 5);
    http_probe_turn(f->loop, 3);
    assert_true(http_server_is_busy(f->server));
    http_probe_send(f->loop, fd, "a HTTP/1.1\r\nHost: localhost\r\n\r\n", 31);
    http_probe_turn(f->loop, 5);
    assert_int_equal(f->handled, 1);
    assert_false(http_server_is_busy(f->server));
    http_probe_send(f->loop, fd, "GET /", 5); // the next one
    http_probe_turn(f->loop, 3);
    assert_true(http_server_is_busy(f->server));
    http_server_retire(f->server);
    http_probe_send(f->loop, fd, "b HTTP/1.1\r\nHost: localhost\r\n\r\n", 31);
    struct buf all = http_probe_drain(f->loop, fd); // answered, and its end
    http_probe_turn(f->loop, 5);
    assert_int_equal(f->handled, 2);
    assert_false(http_server_is_busy(f->server));
    buf_fini(&all);
    stop(f);
}

// When all are being answered a newcomer waits, and is served once one has ended.
static void test_busy_connections_are_not_cut(void **state UNUSED) {
    struct fixture *f = start(0, 2);
    int fds[2];
    f->body_len = 12 * 1024 * 1024;
    for (size_t i = 0; i < 2; i++) {
        fds[i] = http_probe_connect(&f->address);
        http_probe_send(f->loop, fds[i], GET_CLOSE, sizeof(GET_CLOSE) - 1);
        http_probe_turn(f->loop, 5);
    }
    int late = http_probe_connect(&f->address);
    http_probe_send(f->loop, late, GET_CLOSE, sizeof(GET_CLOSE) - 1);
    http_probe_turn(f->loop, 20);
    assert_int_equal(f->handled, 2);
    for (size_t i = 0; i < 2; i++) {
        struct buf all = http_probe_drain(f->loop, fds[i]);
        assert_true(all.len > f->body_len);
        buf_fini(&all);
    }
    struct buf all = http_probe_drain(f->loop, late);
    assert_true(all.len > f->body_len);
    buf_fini(&all);
    stop(f);
}

// Without a free descriptor in the process one client at a time is still answered.
static void test_descriptors_are_short(void **state UNUSED) {
    struct fixture *f = start(0, 0);
    struct rlimit old, low;
    int client = http_probe_connect(&f->address);
    int probe = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(probe);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = (rlim_t)probe; // the lowest free number, so nothing is to be had
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    http_probe_send(f->loop, client, GET_CLOSE, sizeof(GET_CLOSE) - 1);
    struct buf all = http_probe_drain(f->loop, client);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_memory_equal(buf_span(&all).ptr, "HTTP/1.1 200 ", 13);
    buf_fini(&all);
    stop(f);
}

static void test_bad_request_is_answered_and_closed(void **state UNUSED) {
    struct fixture *f = start(0, 0);
    HTTP_REPLY reply = http_probe_ask(f->loop, &f->address,
                                      "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                                      "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_int_equal(reply.status, 400);
    assert_non_null(strstr(reply.head, "Connection: close\r\n"));
    assert_null(strstr(reply.body, "smuggled"));
    assert_int_equal(f->handled, 0);
    stop(f);
}

// The answer to a flood must not be eaten by a reset.
static void test_flood_gets_its_answer(void **state UNUSED) {
    struct fixture *f = start(0, 0);
    static char flood[60 * 1024];
    memset(flood, 'a', sizeof(flood));
    memcpy(flood, "GET /", 5);
    int fd = http_probe_connect(&f->address);
    http_probe_send(f->loop, fd, flood, sizeof(flood));
    struct buf all = {0};
    assert_true(http_probe_read_all(f->loop, fd, &all));
    assert_true(all.len > 13);
    assert_memory_equal(buf_span(&all).ptr, "HTTP/1.1 414 ", 13);
    buf_fini(&all);
    stop(f);
}

static void test_close_cuts_connections(void **state UNUSED) {
    struct fixture *f = start(0, 0);
    int fd = http_probe_connect(&f->address);
    http_probe_turn(f->loop, 3);
    http_server_close(f->listener);
    assert_true(http_probe_is_closed(f->loop, fd, 3));
    close(fd);
    stop(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pipeline),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_head_has_no_body),
        cmocka_unit_test(test_half_closed_client_is_answered),
        cmocka_unit_test(test_slow_request_is_cut),
        cmocka_unit_test(test_silent_client_is_cut),
        cmocka_unit_test(test_slow_reader_is_cut),
        cmocka_unit_test(test_large_answer_arrives),
        cmocka_unit_test(test_output_is_bounded),
        cmocka_unit_test(test_connections_are_bounded),
        cmocka_unit_test(test_busy_until_all_are_answered),
        cmocka_unit_test(test_busy_connections_are_not_cut),
        cmocka_unit_test(test_descriptors_are_short),
        cmocka_unit_test(test_bad_request_is_answered_and_closed),
        cmocka_unit_test(test_flood_gets_its_answer),
        cmocka_unit_test(test_close_cuts_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
