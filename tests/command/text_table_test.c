#include "agent/command/text_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_aligned(void **state UNUSED) {
    static const char *const titles[] = {"A", "LONG", "LAST"};
    static const char *const cells[] = {"caf\xc3\xa9", "", "x", "b", "\x1b[31m\n", "yy"};
    struct buf out = {0};
    OWNED(text_table_free) struct text_table *table = text_table_new(titles, 3);
    for (size_t i = 0; i < 6; i++) {
        assert_true(text_table_add(table, cells[i]));
    }
    assert_true(text_table_render(table, &out));
    char *text = buf_take_text(&out);
    assert_string_equal(text, "A     LONG    LAST\n"
                              "caf\xc3\xa9  -       x\n"
                              "b     \xef\xbf\xbd[31m\xef\xbf\xbd  yy\n");
    free(text);
}

static void test_no_rows(void **state UNUSED) {
    static const char *const titles[] = {"A", "B"};
    struct buf out = {0};
    OWNED(text_table_free) struct text_table *table = text_table_new(titles, 2);
    assert_true(text_table_render(table, &out));
    char *text = buf_take_text(&out);
    assert_string_equal(text, "A  B\n");
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aligned),
        cmocka_unit_test(test_no_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
