#include "agent/inject/edit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void add(struct edit_list *list, size_t offset, size_t remove, const char *text) {
    struct buf put = {0};
    assert_true(buf_append_text(&put, text));
    assert_true(edit_add(list, offset, remove, &put, NULL));
    assert_int_equal(buf_span(&put).len, 0);
}

static void test_edits_apply_by_place(void **state) {
    (void)state;
    struct edit_list list = {0};
    struct buf out = {0};
    add(&list, 3, 2, "");
    add(&list, 10, 0, "!");
    add(&list, 0, 0, "<");
    add(&list, 0, 1, "A");
    for (size_t i = 0; i < 40; i++) { // more than the list starts with
        add(&list, 9, 0, ".");
    }
    assert_true(edit_apply(&list, span_of_text("0123456789"), &out, NULL));
    char *text = buf_take_text(&out);
    assert_string_equal(text, "<A125678........................................9!");
    free(text);
    edit_list_fini(&list);
}

static void test_no_edits(void **state) {
    (void)state;
    struct edit_list list = {0};
    struct buf out = {0};
    assert_true(edit_apply(&list, span_of_text("same"), &out, NULL));
    assert_true(span_equal_text(buf_span(&out), "same"));
    assert_true(edit_apply(&list, span_of(NULL, 0), &out, NULL));
    assert_true(span_equal_text(buf_span(&out), "same"));
    buf_fini(&out);
    edit_list_fini(&list);
}

static void test_lines(void **state) {
    (void)state;
    struct span text = span_of_text("ab\n  cd\nef");
    assert_int_equal(edit_line_start(text, 0), 0);
    assert_int_equal(edit_line_start(text, 2), 0);
    assert_int_equal(edit_line_start(text, 6), 3);
    assert_int_equal(edit_line_end(text, 2), 3);
    assert_int_equal(edit_line_end(text, 9), 10);
    assert_int_equal(edit_line_end(text, 10), 10);
    assert_true(edit_is_alone(text, 5));
    assert_false(edit_is_alone(text, 6));
    assert_true(edit_is_alone(text, 0));
    assert_string_equal(edit_newline(text), "\n");
    assert_string_equal(edit_newline(span_of_text("a\r\nb\n")), "\r\n");
    assert_string_equal(edit_newline(span_of_text("")), "\n");
    assert_string_equal(edit_newline(span_of_text("\n")), "\n");
    struct span marked = span_of_text("\xef\xbb\xbf  a\n");
    assert_int_equal(edit_line_start(marked, 5), 3);
    assert_true(edit_is_alone(marked, 5));
    size_t offset = 0;
    assert_true(edit_has_plain_lines(span_of_text("a\r\n\xc3\x85\xe2\x80\xa7\n\xc2"), &offset));
    static const char *const odd[] = {"ab\rc",      "ab\r",           &"ab\n\r"[1],
                                      "ab\xc2\x85", "ab\xe2\x80\xa8", "ab\xe2\x80\xa9"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        assert_false(edit_has_plain_lines(span_of_text(odd[i]), &offset));
        assert_int_equal(offset, 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edits_apply_by_place),
        cmocka_unit_test(test_no_edits),
        cmocka_unit_test(test_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
