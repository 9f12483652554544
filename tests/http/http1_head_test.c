#include "agent/http/http1_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

// Feeds `text` in pieces; the number of bytes taken is checked by the caller.
static enum http1_outcome feed(struct http1_head *head, const char *text, size_t piece,
                               size_t *used, struct http1_problem *problem) {
    size_t len = strlen(text);
    enum http1_outcome outcome = HTTP1_MORE;
    *used = 0;
    while (outcome == HTTP1_MORE && *used < len) {
        size_t left = len - *used, got = 0;
        outcome = http1_head_feed(head, span_of(text + *used, left < piece ? left : piece), &got,
                                  problem);
        *used += got;
    }
    return outcome;
}

static void test_request_in_any_pieces(void **state) {
    (void)state;
    static const char TEXT[] = "\r\nPOST /a?b HTTP/1.1\r\nHost: Example:80\r\nX-A:  1 \r\n"
                               "content-length: 3\r\nX-Empty:\r\n\r\nabcGET";
    for (size_t piece = 1; piece <= sizeof(TEXT); piece++) {
        struct http1_head head = {.line = 0};
        struct http_fields fields = {.num = 0};
        struct http1_info info;
        struct http1_problem problem;
        size_t used;
        assert_int_equal(feed(&head, TEXT, piece, &used, &problem), HTTP1_DONE);
        assert_int_equal(used, strlen(TEXT) - 6);
        assert_true(http1_head_parse_request(&head, &fields, &info, &problem));
        assert_true(span_equal_text(http_fields_get(&fields, ":method"), "POST"));
        assert_true(span_equal_text(http_fields_get(&fields, ":path"), "/a?b"));
        assert_true(span_equal_text(http_fields_get(&fields, ":authority"), "Example:80"));
        assert_true(span_equal_text(http_fields_get(&fields, "x-a"), "1"));
        assert_int_equal(http_fields_find(&fields, "host"), -1);
        assert_true(http_fields_find(&fields, "x-empty") >= 0);
        assert_int_equal(info.body.kind, HTTP_BODY_LENGTH);
        assert_int_equal(info.body.length, 3);
        assert_true(info.keep_alive);
        assert_false(info.upgrade || info.expects_continue || info.version_10);
        http1_head_fini(&head);
        assert_false(http1_head_has_begun(&head));
        http_fields_fini(&fields);
    }
}

static void test_response(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool to_head;
        int status;
        enum http_body_kind kind;
        bool keep_alive;
    } CASES[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, 200, HTTP_BODY_LENGTH, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, 200, HTTP_BODY_NONE, true},
        {"HTTP/1.1 200\r\n\r\n", false, 200, HTTP_BODY_UNTIL_CLOSE, false},
        {"HTTP/1.1 200 \r\nTransfer-Encoding: Chunked\r\n\r\n", false, 200, HTTP_BODY_CHUNKED,
         true},
        {"HTTP/1.0 404 Not Here\r\nContent-Length: 0\r\n\r\n", false, 404, HTTP_BODY_LENGTH, false},
        {"HTTP/1.1 204 No Content\r\n\r\n", false, 204, HTTP_BODY_NONE, true},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false, 304, HTTP_BODY_NONE,
         true},
        {"HTTP/1.1 100 Continue\r\n\r\n", false, 100, HTTP_BODY_NONE, true},
        {"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 1\r\n\r\n", false, 200,
         HTTP_BODY_LENGTH, false},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct http1_head head = {.line = 0};
        struct http_fields fields = {.num = 0};
        struct http1_info info;
        struct http1_problem problem;
        size_t used;
        assert_int_equal(feed(&head, CASES[i].text, 1, &used, &problem), HTTP1_DONE);
        assert_true(http1_head_parse_response(&head, CASES[i].to_head, &fields, &info, &problem));
        assert_int_equal(info.status, CASES[i].status);
        assert_int_equal(info.body.kind, CASES[i].kind);
        assert_int_equal(info.keep_alive, CASES[i].keep_alive);
        http1_head_fini(&head);
        http_fields_fini(&fields);
    }
}

static void test_bad_responses(void **state) {
    (void)state;
    static const char *const CASES[] = {
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 200 O\x01K\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A: 1\r\n folded\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct http1_head head = {.line = 0};
        struct http_fields fields = {.num = 0};
        struct http1_info info;
        struct http1_problem problem = {.why = NULL};
        size_t used;
        assert_int_equal(feed(&head, CASES[i], 3, &used, &problem), HTTP1_DONE);
        assert_false(http1_head_parse_response(&head, false, &fields, &info, &problem));
        assert_non_null(problem.why);
        http1_head_fini(&head);
        http_fields_fini(&fields);
    }
}

static void test_limits(void **state) {
    (void)state;
    static char text[HTTP_HEAD_BYTES_MAX + 100];
    struct http1_head head = {.line = 0};
    struct http1_problem problem;
    size_t used;
    memset(text, 'a', sizeof(text) - 1);
    assert_int_equal(feed(&head, text, 4096, &used, &problem), HTTP1_BAD);
    assert_int_equal(problem.status, 414);
    http1_head_fini(&head);
    memcpy(text, "GET / HTTP/1.1\r\n", 16);
    assert_int_equal(feed(&head, text, 4096, &used, &problem), HTTP1_BAD);
    assert_int_equal(problem.status, 431);
    http1_head_fini(&head);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_in_any_pieces),
        cmocka_unit_test(test_response),
        cmocka_unit_test(test_bad_responses),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
