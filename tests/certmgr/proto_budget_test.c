#include "certmgr/proto_budget.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void more_than_the_budget_is_refused(void **state) {
    (void)state;
    struct proto_budget budget = {.left = 4096};
    assert_null(proto_budget_alloc(&budget, 4097));
    void *all = proto_budget_alloc(&budget, 4000);
    assert_non_null(all);
    assert_in_range(budget.left, 0, 96);
    assert_null(proto_budget_alloc(&budget, 97));
    proto_budget_free(&budget, all);
    assert_int_equal(budget.left, 4096);
    all = proto_budget_alloc(&budget, 4000);
    assert_non_null(all);
    proto_budget_free(&budget, all);
}

static void what_the_heap_rounds_up_counts(void **state) {
    (void)state;
    struct proto_budget budget = {.left = 1024};
    void *tiny[1024];
    size_t num = 0;
    size_t used = 0;
    while (num < 1024 && (tiny[num] = proto_budget_alloc(&budget, 1)) != NULL) {
        used += malloc_usable_size(tiny[num++]);
    }
    assert_in_range(num, 1, 1024);
    assert_int_equal(budget.left, 1024 - used);
    while (num > 0) {
        proto_budget_free(&budget, tiny[--num]);
    }
    proto_budget_free(&budget, NULL);
    assert_int_equal(budget.left, 1024);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_than_the_budget_is_refused),
        cmocka_unit_test(what_the_heap_rounds_up_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
