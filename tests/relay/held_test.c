#include "agent/relay/held.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "tests/base/prng.h"

static struct leg_runs one_run(const void *bytes, size_t len) {
    struct leg_runs runs = {.num = 1, .len = len};
    runs.run[0] = (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    return runs;
}

static void test_holds_what_was_not_taken_and_nothing_else(void **state) {
    (void)state;
    struct held held = {0};
    char text[] = "0123456789";
    struct leg_runs runs = {.num = 2, .len = 10};
    runs.run[0] = (struct iovec){.iov_base = text, .iov_len = 4};
    runs.run[1] = (struct iovec){.iov_base = text + 4, .iov_len = 6};
    assert_true(held_put(&held, &runs, 10));
    assert_null(held.mem); // all taken: no memory
    assert_true(held_put(&held, &runs, 3));
    struct leg_runs out;
    held_offer(&held, &out);
    assert_int_equal(out.len, 7);
    assert_memory_equal(out.run[0].iov_base, "3456789", 7);
    held_take(&held, 7);
    assert_null(held.mem);
}

static void test_the_headroom_may_be_overwritten(void **state) {
    (void)state;
    struct held held = {0};
    struct leg_runs runs = one_run("abcdef", 6);
    assert_true(held_put(&held, &runs, 0));
    for (int taken = 0; taken < 6; taken++) {
        struct leg_runs out;
        held_offer(&held, &out);
        memset((uint8_t *)out.run[0].iov_base - LEG_HEADROOM, 0x5a, LEG_HEADROOM);
        assert_memory_equal(out.run[0].iov_base, &"abcdef"[taken], (size_t)(6 - taken));
        held_take(&held, 1);
    }
}

static void test_is_a_queue(void **state) {
    (void)state;
    struct prng prng = prng_new();
    struct held held = {0};
    struct buf model = {0};
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[97];
        size_t len = 1 + prng_below(&prng, sizeof(bytes) - 1);
        for (size_t k = 0; k < len; k++) {
            bytes[k] = (uint8_t)prng_next(&prng);
        }
        struct leg_runs runs = one_run(bytes, len);
        assert_true(held_put(&held, &runs, 0));
        assert_true(buf_append(&model, bytes, len));
        size_t take = prng_below(&prng, held.len + 1);
        struct leg_runs out;
        held_offer(&held, &out);
        assert_int_equal(out.len, buf_span(&model).len);
        assert_memory_equal(out.run[0].iov_base, buf_span(&model).ptr, out.len);
        held_take(&held, take);
        buf_consume(&model, take);
        assert_int_equal(held.len, buf_span(&model).len);
    }
    held_fini(&held);
    buf_fini(&model);
}

// Copying all that is held for each small piece would be quadratic: a peer could ask for it.
static void test_small_pieces_do_not_copy_what_is_held(void **state) {
    (void)state;
    struct held held = {0};
    int copies = 0;
    for (int i = 0; i < 100000; i++) {
        struct leg_runs runs = one_run("x", 1);
        size_t cap = held.cap;
        assert_true(held_put(&held, &runs, 0));
        copies += held.cap != cap;
    }
    assert_int_equal(held.len, 100000);
    assert_true(copies < 40);
    assert_true(held.cap <= 3 * held.len);
    held_fini(&held);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holds_what_was_not_taken_and_nothing_else),
        cmocka_unit_test(test_the_headroom_may_be_overwritten),
        cmocka_unit_test(test_is_a_queue),
        cmocka_unit_test(test_small_pieces_do_not_copy_what_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
