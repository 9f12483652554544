#include "base/stoppable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

struct errand {
    struct stoppable thread;
    bool was_stopped;
    bool is_stopped_for_good;
};

static void *run(void *arg) {
    struct errand *errand = arg;
    errand->was_stopped = stoppable_is_stopped(&errand->thread, -1);
    errand->is_stopped_for_good = stoppable_is_stopped(&errand->thread, 0);
    return NULL;
}

static void test_it_waits_until_it_is_stopped(void **state) {
    (void)state;
    struct errand errand = {0};
    struct err err = {0};
    assert_true(stoppable_start(&errand.thread, run, &errand, &err));
    assert_false(stoppable_is_stopped(&errand.thread, 0));
    assert_false(stoppable_is_stopped(&errand.thread, 1));
    stoppable_stop(&errand.thread);
    assert_true(errand.was_stopped);
    assert_true(errand.is_stopped_for_good);
    stoppable_stop(&errand.thread); // there is nothing to stop any more
    assert_true(stoppable_start(&errand.thread, run, &errand, &err));
    stoppable_stop(&errand.thread);
}

static void *end_at_once(void *arg) {
    return arg;
}

static void test_it_may_have_ended_by_itself(void **state) {
    (void)state;
    struct stoppable thread = {0};
    stoppable_stop(&thread); // never started
    assert_true(stoppable_start(&thread, end_at_once, NULL, NULL));
    stoppable_stop(&thread);
}

static void test_failures_leave_nothing(void **state) {
    (void)state;
    struct rlimit usual;
    struct stoppable thread = {0};
    struct err err = {0};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = usual.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    bool started = stoppable_start(&thread, end_at_once, NULL, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
    assert_false(started);
    assert_non_null(strstr(err.msg, "no descriptor is left for a thread: "));
    assert_int_equal(err.class, ERR_ENVIRONMENT);
    stoppable_stop(&thread);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_waits_until_it_is_stopped),
        cmocka_unit_test(test_it_may_have_ended_by_itself),
        cmocka_unit_test(test_failures_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
