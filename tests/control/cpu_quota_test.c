#include "agent/control/cpu_quota.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static unsigned parse(const char *text) {
    return cpu_quota_parse(span_of_text(text));
}

static void test_rounds_up_to_whole_cpus(void **state) {
    (void)state;
    assert_int_equal(parse("100000 100000\n"), 1);
    assert_int_equal(parse("150000 100000\n"), 2);
    assert_int_equal(parse("20000 100000"), 1);
    assert_int_equal(parse("6400000000 100000"), 64);
}

static void test_no_limit_and_nonsense_are_zero(void **state) {
    (void)state;
    assert_int_equal(parse("max 100000\n"), 0);
    assert_int_equal(parse("-1 100000"), 0);
    assert_int_equal(parse("100000 0"), 0);
    assert_int_equal(parse("0 100000"), 0);
    assert_int_equal(parse(""), 0);
    assert_int_equal(parse("1111111111111111111111111111111111111111111111111111111111111111 1"),
                     0);
}

static void test_there_is_at_least_one_worker(void **state) {
    (void)state;
    unsigned workers = cpu_quota_workers();
    assert_true(workers >= 1 && workers <= 64);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds_up_to_whole_cpus),
        cmocka_unit_test(test_no_limit_and_nonsense_are_zero),
        cmocka_unit_test(test_there_is_at_least_one_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
