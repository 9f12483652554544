#include "agent/control/footprint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

// Resident pages that are files' own.
static long resident_file_pages(void) {
    FILE *statm = fopen("/proc/self/statm", "r");
    assert_non_null(statm);
    long size = 0;
    long resident = 0;
    long file = 0;
    assert_int_equal(fscanf(statm, "%ld %ld %ld", &size, &resident, &file), 3);
    fclose(statm);
    return file;
}

// Read-only, relocated and written memory, all of it in the trimmed objects.
static const char CONSTANT[3 * 4096] = "constant";
static const char *const RELOCATED[] = {"one", "two"};
static char written[3 * 4096];

static void test_code_goes_and_comes_back(void **state) {
    (void)state;
    memset(written, 'w', sizeof(written));
    long before = resident_file_pages();
    footprint_trim();
    assert_true(resident_file_pages() < before);
    assert_string_equal(CONSTANT, "constant");
    assert_string_equal(RELOCATED[1], "two");
    assert_int_equal(written[4096], 'w');
    footprint_trim();
    assert_string_equal(RELOCATED[0], "one");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_code_goes_and_comes_back)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
