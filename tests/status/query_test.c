#include "agent/status/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/own.h"

static void test_values(void **state UNUSED) {
    static const struct {
        const char *query, *name, *value; // NULL: refused
    } rows[] = {
        {"level=debug", "level", "debug"},
        {"a=1&level=info", "level", "info"},
        {"level=info&level=warn", "level", "info"},
        {"level", "level", ""},
        {"level=", "level", ""},
        {"&&level=x&", "level", "x"},
        {"a=%5b%3A%3a1%5D", "a", "[::1]"},
        {"a=x+y", "a", "x y"},
        {"a=b=c", "a", "b=c"},
        {"", "a", NULL},
        {"ab=1", "a", NULL},
        {"b=a", "a", NULL},
        {"a=%", "a", NULL},
        {"a=%4", "a", NULL},
        {"a=%zz", "a", NULL},
        {"a=%00", "a", NULL},
        {"a=%0a", "a", NULL},
        {"a=123456789012345", "a", "123456789012345"},
        {"a=1234567890123456", "a", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[16] = "untouched";
        bool found = query_get(span_of_text(rows[i].query), rows[i].name, out, sizeof(out));
        assert_int_equal(found, rows[i].value != NULL);
        if (found) {
            assert_string_equal(out, rows[i].value);
        }
    }
}

static void test_has(void **state UNUSED) {
    assert_true(query_has(span_of_text("verbose"), "verbose"));
    assert_true(query_has(span_of_text("x=1&verbose=1"), "verbose"));
    assert_false(query_has(span_of_text("verbosely"), "verbose"));
    assert_false(query_has(span_of(NULL, 0), "verbose"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
