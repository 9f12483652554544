#include "agent/http/http1_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

// Decodes in pieces of `piece` bytes. The body is in `out`; the result says how it ended.
static enum http1_piece decode(const struct http_body *kind, const char *text, size_t piece,
                               struct buf *out, struct http_fields *trailers) {
    struct http1_body body;
    http1_body_init(&body, kind);
    size_t len = strlen(text), at = 0;
    enum http1_piece got = HTTP1_PIECE_NONE;
    while (at < len && got != HTTP1_PIECE_END && got != HTTP1_PIECE_BAD) {
        size_t left = len - at;
        struct span rest = span_of(text + at, left < piece ? left : piece);
        at += rest.len;
        do {
            struct span data;
            got = http1_body_next(&body, &rest, &data, trailers);
            assert_true(got != HTTP1_PIECE_DATA || buf_append(out, data.ptr, data.len));
        } while (got == HTTP1_PIECE_DATA);
    }
    http1_body_fini(&body);
    return got;
}

static const struct http_body CHUNKED = {.kind = HTTP_BODY_CHUNKED};

static void test_chunks_in_any_pieces(void **state) {
    (void)state;
    static const char TEXT[] = "5\r\nhello\r\n0A;name=\"v\"\r\n0123456789\r\n01\r\n\n\r\n0\r\n"
                               "Grpc-Status: 0\r\nX: y\r\n\r\n";
    for (size_t piece = 1; piece <= sizeof(TEXT); piece++) {
        struct buf out = {0};
        struct http_fields trailers = {.num = 0};
        assert_int_equal(decode(&CHUNKED, TEXT, piece, &out, &trailers), HTTP1_PIECE_END);
        assert_true(span_equal_text(buf_span(&out), "hello0123456789\n"));
        assert_int_equal(trailers.num, 2);
        assert_true(span_equal_text(http_fields_get(&trailers, "grpc-status"), "0"));
        buf_fini(&out);
        http_fields_fini(&trailers);
    }
}

static void test_bad_chunks(void **state) {
    (void)state;
    static const char *const CASES[] = {
        "\r\n",
        "g\r\n",
        "-1\r\n",
        "+1\r\n",
        "0x1\r\n",
        " 1\r\n",
        "1 \r\n",
        "1\n",
        "1\r\r\n",
        "1;a\rb\r\n",
        "1\r\naX",
        "1\r\na\n",
        "1\r\na\rX",
        "1;a\nb\r\n",
        "1 ;a\r\n",
        "1111111111111111\r\n",
        "0\r\nA : b\r\n\r\n",
        "0\r\nA: b\n\r\n",
        "0\r\n A: b\r\n\r\n",
        "0\r\n\n",
        "0\r\nnocolon\r\n\r\n",
        "1;\x01\r\na",
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        for (size_t piece = 1; piece < 8; piece += 6) {
            struct buf out = {0};
            struct http_fields trailers = {.num = 0};
            assert_int_equal(decode(&CHUNKED, CASES[i], piece, &out, &trailers), HTTP1_PIECE_BAD);
            buf_fini(&out);
            http_fields_fini(&trailers);
        }
    }
}

static void test_bounded_lines(void **state) {
    (void)state;
    char text[2 * HTTP1_CHUNK_LINE_MAX];
    memset(text, 'a', sizeof(text));
    memcpy(text, "1;", 2);
    text[sizeof(text) - 1] = '\0';
    struct buf out = {0};
    struct http_fields trailers = {.num = 0};
    assert_int_equal(decode(&CHUNKED, text, 7, &out, &trailers), HTTP1_PIECE_BAD);
    buf_fini(&out);
}

static void test_other_bodies(void **state) {
    (void)state;
    struct buf out = {0};
    struct http_fields trailers = {.num = 0};
    const struct http_body five = {.kind = HTTP_BODY_LENGTH, .length = 5};
    assert_int_equal(decode(&five, "hel", 2, &out, &trailers), HTTP1_PIECE_NONE);
    buf_clear(&out);
    assert_int_equal(decode(&five, "helloGET", 4, &out, &trailers), HTTP1_PIECE_END);
    assert_true(span_equal_text(buf_span(&out), "hello"));
    buf_clear(&out);
    const struct http_body rest = {.kind = HTTP_BODY_UNTIL_CLOSE};
    assert_int_equal(decode(&rest, "0\r\n\r\n", 1, &out, &trailers), HTTP1_PIECE_NONE);
    assert_int_equal(out.len, 5);
    buf_fini(&out);
    struct http1_body body;
    http1_body_init(&body, &rest);
    assert_true(http1_body_may_end(&body));
    http1_body_init(&body, &five);
    assert_false(http1_body_may_end(&body));
    http1_body_init(&body, &(struct http_body){.kind = HTTP_BODY_NONE});
    assert_true(http1_body_may_end(&body));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunks_in_any_pieces),
        cmocka_unit_test(test_bad_chunks),
        cmocka_unit_test(test_bounded_lines),
        cmocka_unit_test(test_other_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
