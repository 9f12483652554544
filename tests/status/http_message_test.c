#include "agent/status/http_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// Feeds `text` in pieces of `piece` bytes; stops at the first outcome that is not HTTP_MORE.
static enum http_outcome feed(struct http_message *m, struct span text, size_t piece,
                              size_t *consumed) {
    *consumed = 0;
    while (*consumed < text.len) {
        size_t len = text.len - *consumed < piece ? text.len - *consumed : piece;
        size_t used = 0;
        enum http_outcome outcome = http_message_feed(m, span_of(text.ptr + *consumed, len), &used);
        *consumed += used;
        if (outcome != HTTP_MORE) {
            return outcome;
        }
        assert_int_equal(used, len);
    }
    return HTTP_MORE;
}

static const char good[] = "POST /destinations/forget?address=10.0.0.1 HTTP/1.1\r\n"
                           "X-Empty:\r\nHost: localhost:15020\r\nX-Other: a\r\n"
                           "Sec-Fetch-Site: same-origin\r\nContent-Length: 3\r\n\r\nabc";

static void test_pieces(void **state UNUSED) {
    for (size_t piece = 1; piece <= sizeof(good); piece++) {
        OWNED(http_message_free)
        struct http_message *m = http_message_new(HTTP_KIND_REQUEST, HTTP_REQUEST_BODY_MAX);
        char text[sizeof(good) + 3];
        (void)snprintf(text, sizeof(text), "%sGET", good); // the next one's first bytes
        size_t used;
        assert_int_equal(feed(m, span_of_text(text), piece, &used), HTTP_DONE);
        assert_int_equal(used, sizeof(good) - 1);
        struct http_head head = http_message_head(m);
        assert_int_equal(head.verb, HTTP_VERB_POST);
        assert_true(span_equal_text(head.path, "/destinations/forget"));
        assert_true(span_equal_text(head.query, "address=10.0.0.1"));
        assert_string_equal(head.host, "localhost:15020");
        assert_true(head.has_fetch_site);
        assert_string_equal(head.fetch_site, "same-origin");
        assert_false(head.has_origin);
        assert_true(http_message_keep_alive(m));
        assert_true(span_equal_text(http_message_body(m), "abc"));
    }
}

static void test_reset_forgets(void **state UNUSED) {
    OWNED(http_message_free)
    struct http_message *m = http_message_new(HTTP_KIND_REQUEST, HTTP_REQUEST_BODY_MAX);
    size_t used;
    assert_int_equal(feed(m, span_of_text(good), sizeof(good), &used), HTTP_DONE);
    http_message_reset(m);
    assert_false(http_message_has_begun(m));
    assert_int_equal(feed(m, span_of_text("HEAD / HTTP/1.0\r\nOrigin: x\r\n\r\n"), 64, &used),
                     HTTP_DONE);
    struct http_head head = http_message_head(m);
    assert_int_equal(head.verb, HTTP_VERB_HEAD);
    assert_string_equal(head.host, "");
    assert_true(head.has_origin);
    assert_false(head.has_fetch_site);
    assert_int_equal(head.query.len, 0);
    assert_false(http_message_keep_alive(m));
    assert_int_equal(http_message_body(m).len, 0);
}

static const struct {
    const char *text;
    unsigned status;
} bad[] = {
    {"GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
    {"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
    {"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
    {"GET /a#b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nSec-Fetch-Site: none\r\nSec-Fetch-Site: none\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nSec-Fetch-Site: nonenonenonenonenonenonenone\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nTransfer-Encoding:\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400},
    {"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nContent-Length: 4097\r\n\r\n", 413},
    {"GET / HTTP/2.0\r\n\r\n", 505},
    {"GET /\r\n\r\n", 505},
    {"HELLO / HTTP/1.1\r\n\r\n", 501},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 501},
    {"\x16\x03\x01\x02", 501},
    {"GET / HTTP/1.1\r\nBad Name: x\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", 400},
    {"GET /\x01 HTTP/1.1\r\n\r\n", 400},
    {"GET /\xc3\xa9 HTTP/1.1\r\n\r\n", 400},
};

static void test_bad(void **state UNUSED) {
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        for (size_t piece = 1; piece <= 64; piece += 63) {
            OWNED(http_message_free)
            struct http_message *m = http_message_new(HTTP_KIND_REQUEST, HTTP_REQUEST_BODY_MAX);
            size_t used;
            enum http_outcome outcome = feed(m, span_of_text(bad[i].text), piece, &used);
            if (outcome != HTTP_BAD || http_message_status(m) != bad[i].status) {
                print_error("row %zu, pieces of %zu: %d, %u\n", i, piece, outcome,
                            http_message_status(m));
            }
            assert_int_equal(outcome, HTTP_BAD);
            assert_int_equal(http_message_status(m), bad[i].status);
            assert_string_not_equal(http_message_problem(m), "");
        }
    }
}

// A request of `num_headers` headers of `value_len` bytes and a path of `path_len`.
static char *make_request(size_t path_len, size_t num_headers, size_t value_len) {
    size_t max = path_len + num_headers * (value_len + 16) + 64, at = 0;
    char *text = malloc(max);
    assert_non_null(text);
    at += (size_t)snprintf(text, max, "GET /");
    memset(text + at, 'p', path_len - 1);
    at += path_len - 1;
    at += (size_t)snprintf(text + at, max - at, " HTTP/1.1\r\n");
    for (size_t i = 0; i < num_headers; i++) {
        at += (size_t)snprintf(text + at, max - at, "X-%03zu: ", i);
        memset(text + at, 'v', value_len);
        at += value_len;
        at += (size_t)snprintf(text + at, max - at, "\r\n");
    }
    (void)snprintf(text + at, max - at, "\r\n");
    return text;
}

static void check_size(size_t path_len, size_t num_headers, size_t value_len, unsigned status) {
    for (size_t piece = 1; piece < 32768; piece = piece * 7 + 3) {
        char *text = make_request(path_len, num_headers, value_len);
        OWNED(http_message_free)
        struct http_message *m = http_message_new(HTTP_KIND_REQUEST, HTTP_REQUEST_BODY_MAX);
        size_t used;
        enum http_outcome outcome = feed(m, span_of_text(text), piece, &used);
        assert_int_equal(outcome, status == 0 ? HTTP_DONE : HTTP_BAD);
        if (status != 0) {
            assert_int_equal(http_message_status(m), status);
        }
        free(text);
    }
}

static void test_bounds(void **state UNUSED) {
    check_size(HTTP_TARGET_MAX, 1, 1, 0);
    check_size(HTTP_TARGET_MAX + 1, 1, 1, 414);
    check_size(30000, 1, 1, 414);
    check_size(1, HTTP_HEADERS_MAX, 1, 0);
    check_size(1, HTTP_HEADERS_MAX + 1, 1, 431);
    // "GET / HTTP/1.1" CRLF, 8 and the value of the header, CRLF CRLF
    check_size(1, 1, HTTP_HEAD_MAX - 16 - 7 - 4, 0);
    check_size(1, 1, HTTP_HEAD_MAX - 16 - 7 - 4 + 1, 431);
    check_size(1, 1, 60000, 431);
}

static void test_endless_blank_lines(void **state UNUSED) {
    OWNED(http_message_free)
    struct http_message *m = http_message_new(HTTP_KIND_REQUEST, 0);
    static char blank[HTTP_HEAD_MAX + 2];
    for (size_t i = 0; i < sizeof(blank); i++) {
        blank[i] = i % 2 == 0 ? '\r' : '\n';
    }
    size_t used;
    assert_int_equal(feed(m, span_of(blank, sizeof(blank)), 100, &used), HTTP_BAD);
    assert_int_equal(http_message_status(m), 431);
}

// A name that is complete without a value must not run into the next one.
static void test_empty_values(void **state UNUSED) {
    OWNED(http_message_free)
    struct http_message *m = http_message_new(HTTP_KIND_REQUEST, 0);
    size_t used;
    struct span text = span_of_text("GET / HTTP/1.1\r\nHost:\r\nHost: localhost\r\n\r\n");
    assert_int_equal(feed(m, text, 1, &used), HTTP_BAD);
    http_message_reset(m);
    text = span_of_text("GET / HTTP/1.1\r\nX:\r\nOrigin:\r\nHost: h\r\n\r\n");
    assert_int_equal(feed(m, text, 5, &used), HTTP_DONE);
    assert_true(http_message_head(m).has_origin);
    assert_string_equal(http_message_head(m).host, "h");
}

static void test_response_with_length(void **state UNUSED) {
    static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nabcde";
    for (size_t piece = 1; piece <= sizeof(text); piece++) {
        OWNED(http_message_free)
        struct http_message *m = http_message_new(HTTP_KIND_RESPONSE, 100);
        size_t used;
        assert_int_equal(feed(m, span_of_text(text), piece, &used), HTTP_DONE);
        assert_int_equal(http_message_status(m), 503);
        assert_true(span_equal_text(http_message_body(m), "abcde"));
    }
}

static void test_response_until_end(void **state UNUSED) {
    OWNED(http_message_free)
    struct http_message *m = http_message_new(HTTP_KIND_RESPONSE, 100);
    size_t used;
    assert_int_equal(feed(m, span_of_text("HTTP/1.1 200 OK\r\n\r\nab"), 4, &used), HTTP_MORE);
    assert_int_equal(http_message_end(m), HTTP_DONE);
    assert_true(span_equal_text(http_message_body(m), "ab"));
    http_message_reset(m);
    assert_int_equal(
        feed(m, span_of_text("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"), 99, &used),
        HTTP_MORE);
    assert_int_equal(http_message_end(m), HTTP_BAD);
    http_message_reset(m);
    assert_int_equal(http_message_end(m), HTTP_BAD);
}

static void test_response_too_large(void **state UNUSED) {
    OWNED(http_message_free) struct http_message *m = http_message_new(HTTP_KIND_RESPONSE, 3);
    size_t used;
    assert_int_equal(feed(m, span_of_text("HTTP/1.1 200 OK\r\n\r\nabcd"), 99, &used), HTTP_BAD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_reset_forgets),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_endless_blank_lines),
        cmocka_unit_test(test_empty_values),
        cmocka_unit_test(test_response_with_length),
        cmocka_unit_test(test_response_until_end),
        cmocka_unit_test(test_response_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
