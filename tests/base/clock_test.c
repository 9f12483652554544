#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

static void test_clocks_agree_with_themselves(void **state) {
    (void)state;
    int64_t us = clock_mono_us(), ms = clock_mono_ms();
    assert_true(us > 0);
    assert_true(ms >= us / 1000);
    int64_t wall_ms = clock_wall_ms(), wall_s = clock_wall_s();
    assert_true(wall_s >= wall_ms / 1000);
    assert_true(wall_ms > 1600000000000);
}

static void test_format(void **state) {
    (void)state;
    const struct {
        int64_t ms;
        bool with_ms;
        const char *text;
    } rows[] = {
        {0, false, "1970-01-01T00:00:00Z"},
        {1767323045678, true, "2026-01-02T03:04:05.678Z"},
        {1767323045678, false, "2026-01-02T03:04:05Z"},
        {951782400000, true, "2000-02-29T00:00:00.000Z"},
        {-1, true, "1969-12-31T23:59:59.999Z"},
        {-62167219200000, true, "0000-01-01T00:00:00.000Z"},
        {INT64_MIN, true, "0000-01-01T00:00:00.000Z"},
        {-30610224000000, false, "1000-01-01T00:00:00Z"},
        {-30610224000001, true, "0999-12-31T23:59:59.999Z"},
        {INT64_MAX, true, "9999-12-31T23:59:59.999Z"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[CLOCK_TEXT_MAX];
        clock_format(rows[i].ms, rows[i].with_ms, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void test_durations(void **state) {
    (void)state;
    const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"500ms", 500},    {"25s", 25000}, {"5m", 300000}, {"24h", 86400000},
        {"7d", 604800000}, {"0s", 0},      {"007s", 7000}, {"3652d", 3652 * 86400000LL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t ms = -1;
        assert_true(clock_duration_parse(span_of_text(rows[i].text), &ms));
        assert_int_equal(ms, rows[i].ms);
    }
}

static void test_durations_are_written_as_they_are_read(void **state) {
    (void)state;
    static const char *const rows[] = {"0s",  "1ms", "999ms", "1s",  "61s",
                                       "90m", "23h", "1d",    "365d"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[CLOCK_DURATION_MAX];
        int64_t ms = -1;
        assert_true(clock_duration_parse(span_of_text(rows[i]), &ms));
        clock_duration_format(ms, text);
        assert_string_equal(text, rows[i]);
    }
    char text[CLOCK_DURATION_MAX];
    clock_duration_format(7200000, text);
    assert_string_equal(text, "2h");
}

static void test_bad_durations_leave_the_output(void **state) {
    (void)state;
    const char *const rows[] = {
        "",
        "s",
        "5",
        "5 s",
        " 5s",
        "5s ",
        "-5s",
        "+5s",
        "1.5h",
        "5S",
        "5sec",
        "1h30m",
        "3653d",
        "99999999999999999999999999s",
        "18446744073709551621ms",
        "5w",
        "0x5s",
        "5mss",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t ms = 42;
        assert_false(clock_duration_parse(span_of_text(rows[i]), &ms));
        assert_int_equal(ms, 42);
    }
    int64_t ms = 42;
    assert_false(clock_duration_parse(span_of("5s\0", 3), &ms));
    assert_false(clock_duration_parse(span_of(NULL, 0), &ms));
    assert_int_equal(ms, 42);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clocks_agree_with_themselves),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_durations_are_written_as_they_are_read),
        cmocka_unit_test(test_bad_durations_leave_the_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
