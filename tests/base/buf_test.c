#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/base/prng.h"

static void test_empty_holds_nothing(void **state) {
    (void)state;
    struct buf buf;
    buf_init(&buf);
    assert_int_equal(buf_span(&buf).len, 0);
    assert_true(buf_append(&buf, NULL, 0));
    assert_null(buf.mem);
    buf_consume(&buf, 0);
    buf_clear(&buf);
    buf_fini(&buf);
    buf_fini(NULL);
}

static void test_append_and_consume(void **state) {
    (void)state;
    struct buf buf = {0};
    assert_true(buf_append_text(&buf, "hello "));
    assert_true(buf_printf(&buf, "%s %d", "world", 7));
    assert_true(span_equal_text(buf_span(&buf), "hello world 7"));
    buf_consume(&buf, 6);
    assert_true(span_equal_text(buf_span(&buf), "world 7"));
    buf_consume(&buf, 7);
    assert_null(buf.mem);
    buf_fini(&buf);
}

static void test_memory_is_given_back_when_empty(void **state) {
    (void)state;
    struct buf buf = {0};
    assert_non_null(buf_reserve(&buf, 100000));
    buf_commit(&buf, 0); // a read that found nothing
    assert_null(buf.mem);
    assert_true(buf_append_text(&buf, "x"));
    buf_clear(&buf);
    assert_null(buf.mem);
    assert_true(buf_append_text(&buf, "key"));
    buf_clear_secret(&buf);
    assert_null(buf.mem);
    buf_clear_secret(&buf);
}

static void test_impossible_sizes_fail_and_change_nothing(void **state) {
    (void)state;
    struct buf buf = {0};
    assert_true(buf_append_text(&buf, "kept"));
    // Not a constant: the compiler would refuse to allocate that much.
    volatile size_t huge = SIZE_MAX;
    assert_null(buf_reserve(&buf, huge));
    assert_null(buf_reserve(&buf, huge - 4));
    assert_true(span_equal_text(buf_span(&buf), "kept"));
    buf_fini(&buf);
}

static void test_memory_within_a_limit(void **state) {
    (void)state;
    struct buf buf = {0};
    for (int i = 0; i < 10; i++) {
        uint8_t *room = buf_reserve_within(&buf, 100, 1000);
        assert_non_null(room);
        memset(room, i, 100);
        buf_commit(&buf, 100);
        assert_in_range(buf.cap, 1, 1000);
    }
    assert_null(buf_reserve_within(&buf, 1, 1000));
    buf_consume(&buf, 100);
    uint8_t *room = buf_reserve_within(&buf, 100, 1000); // what is held moves down
    assert_non_null(room);
    assert_int_equal(buf.cap, 1000);
    assert_int_equal(buf_span(&buf).ptr[0], 1);
    assert_int_equal(buf_span(&buf).ptr[899], 9);
    assert_null(buf_reserve_within(&buf, 100, 950)); // a limit that was lowered
    buf_fini(&buf);
}

static void test_take_text(void **state) {
    (void)state;
    struct buf buf = {0};
    char *text = buf_take_text(&buf);
    assert_string_equal(text, "");
    free(text);
    assert_true(buf_append_text(&buf, "xxtext"));
    buf_consume(&buf, 2);
    text = buf_take_text(&buf);
    assert_string_equal(text, "text");
    assert_null(buf.mem);
    assert_int_equal(buf_span(&buf).len, 0);
    free(text);
}

// Random pieces in and out: what comes out is what went in, in order.
static void test_is_a_queue(void **state) {
    (void)state;
    struct prng prng = prng_new();
    struct buf buf = {0};
    uint8_t in = 0, out = 0, piece[4096];
    for (int i = 0; i < 20000; i++) {
        size_t len = (size_t)prng_below(&prng, i % 16 == 0 ? sizeof piece : 100);
        for (size_t k = 0; k < len; k++) {
            piece[k] = in++;
        }
        assert_true(buf_append(&buf, piece, len));
        struct span held = buf_span(&buf);
        size_t taken = (size_t)prng_below(&prng, held.len + 1);
        for (size_t k = 0; k < taken; k++) {
            assert_int_equal(held.ptr[k], out++);
        }
        buf_consume(&buf, taken);
        assert_true((buf_span(&buf).len == 0) == (buf.mem == NULL));
    }
    buf_fini(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_holds_nothing),
        cmocka_unit_test(test_append_and_consume),
        cmocka_unit_test(test_memory_is_given_back_when_empty),
        cmocka_unit_test(test_impossible_sizes_fail_and_change_nothing),
        cmocka_unit_test(test_memory_within_a_limit),
        cmocka_unit_test(test_take_text),
        cmocka_unit_test(test_is_a_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
