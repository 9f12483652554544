#include "agent/control/footprint.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BLOCKS 1000
#define BLOCK_LEN 100000 // malloc has a mapping of its own only for more

static long pages(bool files_own) {
    FILE *statm = fopen("/proc/self/statm", "r");
    assert_non_null(statm);
    long size = 0;
    long resident = 0;
    long file = 0;
    assert_int_equal(fscanf(statm, "%ld %ld %ld", &size, &resident, &file), 3);
    fclose(statm);
    return files_own ? file : resident;
}

// Resident pages that are files' own.
static long resident_file_pages(void) {
    return pages(true);
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

// What is above it is not given back by malloc itself: something small is still in use.
static void test_what_a_burst_left_goes(void **state) {
    (void)state;
    static char *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(BLOCK_LEN);
        assert_non_null(blocks[i]);
        memset(blocks[i], 'b', BLOCK_LEN);
    }
    char *last = strdup("still in use");
    for (size_t i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
    }
    if (mallinfo2().fordblks == 0) {
        free(last);
        print_message("a sanitizer's malloc, which has nothing to give back\n");
        skip();
    }
    long before = pages(false);
    footprint_settle();
    assert_true(before - pages(false) > BLOCKS * BLOCK_LEN / sysconf(_SC_PAGESIZE) / 2);
    assert_string_equal(last, "still in use");
    free(last);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_code_goes_and_comes_back),
        cmocka_unit_test(test_what_a_burst_left_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
