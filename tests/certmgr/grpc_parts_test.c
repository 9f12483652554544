#include "certmgr/grpc_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_arguments(void **state) {
    (void)state;
    grpc_arg number = grpc_parts_int("a", -7);
    grpc_arg text = grpc_parts_text("b", "c");
    assert_int_equal(number.type, GRPC_ARG_INTEGER);
    assert_string_equal(number.key, "a");
    assert_int_equal(number.value.integer, -7);
    assert_int_equal(text.type, GRPC_ARG_STRING);
    assert_string_equal(text.key, "b");
    assert_string_equal(text.value.string, "c");
}

static void assert_details(const char *bytes, size_t len, const char *text) {
    char out[8];
    memset(out, 'x', sizeof(out));
    grpc_slice slice = grpc_slice_from_copied_buffer(bytes, len);
    grpc_parts_details(slice, out, sizeof(out));
    grpc_slice_unref(slice);
    assert_string_equal(out, text);
}

static void test_details_are_printable_and_fit(void **state) {
    (void)state;
    assert_details("", 0, "");
    assert_details("a ~", 3, "a ~");
    assert_details("a\n\0\x7f\xc3\xa4", 6, "a?????");
    assert_details("1234567", 7, "1234567");
    assert_details("12345678", 8, "1234567");
}

static void test_a_queue_ends(void **state) {
    (void)state;
    grpc_init();
    grpc_parts_queue_destroy(grpc_completion_queue_create_for_next(NULL));
    grpc_shutdown_blocking();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_details_are_printable_and_fit),
        cmocka_unit_test(test_a_queue_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
