#include "agent/observe/view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NUM_ADDED 1000

static void test_elements_come_zeroed_and_stay(void **state) {
    (void)state;
    struct view view = {0};
    for (uint64_t i = 0; i < NUM_ADDED; i++) {
        struct connection_view *connection = view_add_connection(&view);
        const struct connection_view zero = {0};
        assert_memory_equal(connection, &zero, sizeof zero);
        memset(connection, 0xff, sizeof *connection); // so that reused memory would show
        connection->id = i;
    }
    assert_int_equal(view.num_connections, NUM_ADDED);
    assert_true(view.cap_connections >= NUM_ADDED);
    for (uint64_t i = 0; i < NUM_ADDED; i++) {
        assert_int_equal(view.connections[i].id, i);
    }
    view_fini(&view);
    assert_null(view.connections);
    assert_int_equal(view.num_connections, 0);
}

static void test_the_arrays_are_separate(void **state) {
    (void)state;
    struct view view = {0};
    for (int i = 0; i < 100; i++) {
        view_add_tunnel(&view)->id = 2;
        view_add_listener(&view)->kind = "status";
        view_add_destination(&view)->since_ms = 4;
        view_add_refusal(&view)->at_ms = 5;
    }
    view_add_connection(&view)->id = 1;
    assert_int_equal(view.num_connections, 1);
    assert_int_equal(view.num_tunnels, 100);
    assert_int_equal(view.num_listeners, 100);
    assert_int_equal(view.num_destinations, 100);
    assert_int_equal(view.num_refusals, 100);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(view.tunnels[i].id, 2);
        assert_string_equal(view.listeners[i].kind, "status");
        assert_int_equal(view.destinations[i].since_ms, 4);
        assert_int_equal(view.refusals[i].at_ms, 5);
    }
    view_fini(&view);
}

static void test_empty_and_null(void **state) {
    (void)state;
    struct view view = {0};
    view_fini(&view);
    view_fini(&view);
    view_fini(NULL);
    assert_non_null(view_add_refusal(&view)); // usable again
    view_fini(&view);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements_come_zeroed_and_stay),
        cmocka_unit_test(test_the_arrays_are_separate),
        cmocka_unit_test(test_empty_and_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
