#include "agent/worker/refusals.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void add(struct refusals *refusals, int at) {
    struct refusal_view view = {.at_ms = at, .reason = CLOSE_UNAUTHORIZED};
    refusals_add(refusals, &view);
}

static void test_newest_first(void **state) {
    (void)state;
    OWNED(refusals_free) struct refusals *refusals = refusals_new();
    struct view view = {0};
    refusals_render(refusals, &view);
    assert_int_equal(view.num_refusals, 0);
    add(refusals, 1);
    add(refusals, 2);
    refusals_render(refusals, &view);
    assert_int_equal(view.num_refusals, 2);
    assert_int_equal(view.refusals[0].at_ms, 2);
    assert_int_equal(view.refusals[1].at_ms, 1);
    view_fini(&view);
}

static void test_keeps_the_last_ones_only(void **state) {
    (void)state;
    OWNED(refusals_free) struct refusals *refusals = refusals_new();
    for (int i = 0; i < 3 * REFUSALS_KEPT + 7; i++) {
        add(refusals, i);
    }
    struct view view = {0};
    refusals_render(refusals, &view);
    assert_int_equal(view.num_refusals, REFUSALS_KEPT);
    assert_int_equal(view.refusals[0].at_ms, 3 * REFUSALS_KEPT + 6);
    assert_int_equal(view.refusals[REFUSALS_KEPT - 1].at_ms, 2 * REFUSALS_KEPT + 7);
    view_fini(&view);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newest_first),
        cmocka_unit_test(test_keeps_the_last_ones_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
