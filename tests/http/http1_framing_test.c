#include "agent/http/http1_framing.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int frame(struct http1_info *info, const char *const *lines) {
    struct http_fields fields = {.num = 0};
    struct http1_problem problem = {.status = 0};
    for (; *lines != NULL; lines += 2) {
        assert_int_equal(http_fields_add(&fields, span_of_text(lines[0]), span_of_text(lines[1])),
                         HTTP_FIELDS_OK);
    }
    int status = http1_framing_of_request(&fields, info, &problem) ? 0 : problem.status;
    http_fields_fini(&fields);
    return status;
}

#define FRAME(info, ...) frame(info, (const char *const[]){__VA_ARGS__, NULL})

static void test_lengths(void **state) {
    (void)state;
    struct http1_info info = {.status = 0};
    assert_int_equal(FRAME(&info, "Content-Length", "0"), 0);
    assert_int_equal(info.body.kind, HTTP_BODY_LENGTH);
    static const char *const BAD[] = {"",
                                      "-1",
                                      "+1",
                                      "1,1",
                                      "1, 1",
                                      "0x1",
                                      "1 2",
                                      "1.0",
                                      "1\t",
                                      "\xd9\xa3",
                                      "9999999999999999999"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        assert_int_equal(FRAME(&info, "Content-Length", BAD[i]), 400);
    }
    assert_int_equal(FRAME(&info, "Content-Length", "1", "content-length", "1"), 400);
    assert_int_equal(FRAME(&info, "Content-Length", "1", "Transfer-Encoding", "chunked"), 400);
}

static void test_encodings(void **state) {
    (void)state;
    struct http1_info info = {.status = 0};
    assert_int_equal(FRAME(&info, "Transfer-Encoding", "chunked"), 0);
    assert_int_equal(info.body.kind, HTTP_BODY_CHUNKED);
    static const char *const BAD[] = {"",         "gzip",      "chunked, chunked",
                                      "xchunked", "chunked,",  "gzip, chunked",
                                      "identity", "chunked;a", "\"chunked\""};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        assert_int_equal(FRAME(&info, "Transfer-Encoding", BAD[i]), 400);
    }
    assert_int_equal(FRAME(&info, "Transfer-Encoding", "chunked", "Transfer-Encoding", "chunked"),
                     400);
    info.version_10 = true;
    assert_int_equal(FRAME(&info, "Transfer-Encoding", "chunked"), 400);
}

static void test_keep_alive(void **state) {
    (void)state;
    struct http1_info info = {.status = 0};
    assert_int_equal(FRAME(&info, "Connection", "x, Close"), 0);
    assert_false(info.keep_alive);
    info = (struct http1_info){.version_10 = true};
    assert_int_equal(FRAME(&info, "X", "y"), 0);
    assert_false(info.keep_alive);
    assert_int_equal(FRAME(&info, "Connection", "Keep-Alive"), 0);
    assert_true(info.keep_alive);
}

static void test_upgrade(void **state) {
    (void)state;
    static const struct {
        const char *upgrade;
        const char *connection;
        bool passed_on;
    } CASES[] = {
        {"websocket", "Upgrade", true},     {"WebSocket", "keep-alive, upgrade", true},
        {"websocket", "keep-alive", false}, {"h2c", "Upgrade, HTTP2-Settings", false},
        {"H2C", "Upgrade", false},          {"websocket, h2c", "Upgrade", false},
        {"TLS/1.0", "Upgrade", false},      {"HTTP/2.0", "Upgrade", false},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct http1_info info = {.status = 0};
        assert_int_equal(
            FRAME(&info, "Upgrade", CASES[i].upgrade, "Connection", CASES[i].connection), 0);
        assert_int_equal(info.upgrade, CASES[i].passed_on);
    }
    struct http1_info info = {.status = 0};
    assert_int_equal(
        FRAME(&info, "Upgrade", "websocket", "Connection", "upgrade", "Content-Length", "5"), 0);
    assert_false(info.upgrade); // what follows would be read in two ways
}

static void test_expect(void **state) {
    (void)state;
    struct http1_info info = {.status = 0};
    assert_int_equal(FRAME(&info, "Expect", "100-Continue"), 0);
    assert_true(info.expects_continue);
    assert_int_equal(FRAME(&info, "Expect", "200-ok"), 417);
    assert_int_equal(FRAME(&info, "Expect", "100-continue", "Expect", "100-continue"), 417);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),    cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_keep_alive), cmocka_unit_test(test_upgrade),
        cmocka_unit_test(test_expect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
