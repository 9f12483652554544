#include "agent/status/human.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/own.h"

static void test_durations(void **state UNUSED) {
    char out[HUMAN_TEXT_MAX];
    assert_string_equal(human_duration(0, out), "0ms");
    assert_string_equal(human_duration(850, out), "850ms");
    assert_string_equal(human_duration(59999, out), "59s");
    assert_string_equal(human_duration(52 * 60000 + 1, out), "52m");
    assert_string_equal(human_duration(200 * 60000, out), "3h 20m");
    assert_string_equal(human_duration(-98 * 3600000LL, out), "4d 2h");
    assert_string_equal(human_duration(INT64_MIN, out), "106751991167d 7h");
}

static void test_distances(void **state UNUSED) {
    char out[HUMAN_TEXT_MAX];
    assert_string_equal(human_distance(52 * 60000, 0, out), "in 52m");
    assert_string_equal(human_distance(0, 12000, out), "12s ago");
    assert_string_equal(human_distance(500, 1000, out), "now");
}

static void test_bytes(void **state UNUSED) {
    char out[HUMAN_TEXT_MAX];
    assert_string_equal(human_bytes(17, out), "17 B");
    assert_string_equal(human_bytes(1229, out), "1.2 KiB");
    assert_string_equal(human_bytes(64 << 20, out), "64.0 MiB");
    assert_string_equal(human_bytes(UINT64_MAX, out), "16777216.0 TiB");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_distances),
        cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
