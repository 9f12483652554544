#include "bench/load/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static int set_up(void **state) {
    *state = malloc(sizeof(struct histogram));
    histogram_init(*state);
    return 0;
}

static int tear_down(void **state) {
    free(*state);
    return 0;
}

static void test_empty(void **state) {
    assert_int_equal(histogram_quantile(*state, 0.5), 0);
}

static void test_small_values_are_exact(void **state) {
    for (int i = 1; i <= 100; i++) {
        histogram_add(*state, i);
    }
    assert_int_equal(histogram_quantile(*state, 0.5), 50);
    assert_int_equal(histogram_quantile(*state, 0.99), 99);
    assert_int_equal(histogram_quantile(*state, 1), 100);
}

static void test_sum_and_count(void **state) {
    struct histogram *histogram = *state;
    histogram_add(histogram, 5);
    histogram_add(histogram, -7); // a clock that went back
    histogram_add(histogram, 1000000);
    assert_int_equal(histogram->count, 3);
    assert_int_equal(histogram->sum, 1000005);
    assert_int_equal(histogram_quantile(histogram, 0.01), 0);
}

// At every scale the answer is within half a bucket, 1/128, of the truth.
static void test_error_is_bounded(void **state) {
    (void)state;
    for (int64_t value = 1; value < INT64_C(1) << 45; value = value * 9 / 8 + 1) {
        struct histogram histogram;
        histogram_init(&histogram);
        histogram_add(&histogram, value);
        int64_t answer = (int64_t)histogram_quantile(&histogram, 0.5);
        assert_true(llabs(answer - value) <= value / 128 + (value < 128 ? 0 : 1));
    }
}

static void test_every_value_has_a_bucket(void **state) {
    struct histogram *histogram = *state;
    histogram_add(histogram, INT64_MAX);
    assert_true(histogram_quantile(histogram, 1) > UINT64_C(1) << 62);
}

// The rare slow ones show in the tail and nowhere else.
static void test_tail(void **state) {
    for (int i = 0; i < 990; i++) {
        histogram_add(*state, 100);
    }
    for (int i = 0; i < 10; i++) {
        histogram_add(*state, 1000000);
    }
    assert_int_equal(histogram_quantile(*state, 0.5), 100);
    assert_int_equal(histogram_quantile(*state, 0.99), 100);
    assert_in_range(histogram_quantile(*state, 0.999), 990000, 1010000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_small_values_are_exact, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sum_and_count, set_up, tear_down),
        cmocka_unit_test(test_error_is_bounded),
        cmocka_unit_test_setup_teardown(test_every_value_has_a_bucket, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tail, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
