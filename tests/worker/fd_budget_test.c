#include "agent/worker/fd_budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

static void test_take_all_or_nothing(void **state) {
    (void)state;
    struct fd_budget budget = {.left = 3};
    assert_true(fd_budget_take(&budget, 2));
    assert_false(fd_budget_take(&budget, 2));
    assert_int_equal(budget.left, 1);
    assert_true(fd_budget_take(&budget, 1));
    assert_false(fd_budget_take(&budget, 1));
    fd_budget_give(&budget, 3);
    assert_int_equal(budget.left, 3);
}

static void test_leaves_a_reserve_below_the_limit(void **state) {
    (void)state;
    struct rlimit limit = {.rlim_cur = 64, .rlim_max = 64};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    struct fd_budget budget;
    fd_budget_init(&budget);
    assert_true(budget.left >= 2);
    assert_true(budget.left <= 64 - 3 - 8); // standard streams and some for the status port
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take_all_or_nothing),
        cmocka_unit_test(test_leaves_a_reserve_below_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
