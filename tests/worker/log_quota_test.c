#include "agent/worker/log_quota.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_a_second_has_so_many(void **state) {
    (void)state;
    struct log_quota quota = {0};
    int num = 0;
    for (int i = 0; i < LOG_QUOTA_LINES + 7; i++) {
        num += log_quota_take(&quota, 5000 + i);
    }
    assert_int_equal(num, LOG_QUOTA_LINES);
    assert_int_equal(log_quota_settle(&quota, 5999), 0); // there may be more of them
    assert_true(log_quota_take(&quota, 6000));
    assert_int_equal(log_quota_settle(&quota, 7001), 7);
    assert_int_equal(log_quota_settle(&quota, 9001), 0); // said once
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_second_has_so_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
