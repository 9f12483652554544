#include "agent/config/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void expect_text(const struct buf *buf, const char *text) {
    struct span bytes = buf_span(buf);
    assert_int_equal(bytes.len, strlen(text));
    assert_memory_equal(bytes.ptr, text, bytes.len);
}

static void add(struct report *report, enum report_kind kind, unsigned line, unsigned column,
                const char *text) {
    report_add(report, kind, (struct report_place){.line = line, .column = column}, "%s", text);
}

static void test_order_is_that_of_the_text(void **state) {
    (void)state;
    struct report report;
    report_init(&report);
    assert_false(report_has_errors(&report));
    add(&report, REPORT_ERROR, 3, 1, "c");
    add(&report, REPORT_WARNING, 1, 1, "w");
    assert_true(report_has_errors(&report));
    add(&report, REPORT_ERROR, 2, 9, "b");
    add(&report, REPORT_ERROR, 2, 3, "a1");
    add(&report, REPORT_ERROR, 2, 3, "a2");
    add(&report, REPORT_ERROR, 0, 0, "whole");
    struct buf errors = {0};
    struct buf warnings = {0};
    assert_true(report_render(&report, "f", &errors, &warnings));
    expect_text(&errors, "f: whole\nf:2:3: a1\nf:2:3: a2\nf:2:9: b\nf:3:1: c\n");
    expect_text(&warnings, "f:1:1: warning: w\n");
    buf_fini(&errors);
    buf_fini(&warnings);
    report_fini(&report);
}

static void test_a_warning_is_no_error(void **state) {
    (void)state;
    struct report report;
    report_init(&report);
    add(&report, REPORT_WARNING, 1, 1, "w");
    assert_false(report_has_errors(&report));
    assert_true(report_render(&report, "f", NULL, NULL));
    report_fini(&report);
}

static void test_too_many_are_counted(void **state) {
    (void)state;
    struct report report;
    report_init(&report);
    for (unsigned i = 0; i < REPORT_MAX + 7; i++) {
        add(&report, REPORT_ERROR, i + 1, 1, "e");
    }
    assert_int_equal(report.num, REPORT_MAX);
    struct buf errors = {0};
    assert_true(report_render(&report, "f", &errors, NULL));
    assert_true(buf_append(&errors, "", 1));
    assert_non_null(strstr((const char *)buf_span(&errors).ptr, "f: 7 more are not shown\n"));
    buf_fini(&errors);
    report_fini(&report);
}

static void test_excerpts_end_on_a_character(void **state) {
    (void)state;
    char out[REPORT_EXCERPT_MAX];
    assert_string_equal(report_excerpt("short", out), "short");
    char text[201];
    for (size_t shift = 0; shift < 2; shift++) {
        memset(text, 'x', sizeof text);
        for (size_t i = shift; i + 1 < 200; i += 2) {
            memcpy(text + i, "\xc3\xa9", 2);
        }
        text[200] = '\0';
        report_excerpt(text, out);
        size_t len = strlen(out);
        assert_true(len < REPORT_EXCERPT_MAX);
        assert_string_equal(out + len - 3, "...");
        assert_int_not_equal((unsigned char)out[len - 4], 0xc3);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_is_that_of_the_text),
        cmocka_unit_test(test_a_warning_is_no_error),
        cmocka_unit_test(test_too_many_are_counted),
        cmocka_unit_test(test_excerpts_end_on_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
