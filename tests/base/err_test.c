#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_set_keeps_class_place_and_sentence(void **state) {
    (void)state;
    struct err err = {0};
    int line = __LINE__ + 1;
    assert_false(ERR_SET(&err, ERR_USAGE, "no such option: %s", "--x"));
    assert_int_equal(err.class, ERR_USAGE);
    assert_int_equal(err.errnum, 0);
    assert_int_equal(err.line, line);
    assert_non_null(strstr(err.file, "err_test.c"));
    assert_string_equal(err.msg, "no such option: --x");
}

static void test_set_errno_appends_the_reason(void **state) {
    (void)state;
    struct err err = {0};
    assert_false(ERR_SET_ERRNO(&err, ERR_ENVIRONMENT, ENOENT, "cannot read %s", "/x"));
    assert_int_equal(err.errnum, ENOENT);
    assert_string_equal(err.msg, "cannot read /x: No such file or directory");
    ERR_SET_ERRNO(&err, ERR_ENVIRONMENT, 99999, "odd");
    assert_string_equal(err.msg, "odd: unknown error");
}

static void test_wrap_keeps_the_origin(void **state) {
    (void)state;
    struct err err = {0};
    ERR_SET_ERRNO(&err, ERR_INPUT, EINVAL, "bad");
    int line = err.line;
    assert_false(err_wrap(&err, "in %s", "a.yaml"));
    assert_false(err_wrap(&err, "reload"));
    assert_string_equal(err.msg, "reload: in a.yaml: bad: Invalid argument");
    assert_int_equal(err.class, ERR_INPUT);
    assert_int_equal(err.errnum, EINVAL);
    assert_int_equal(err.line, line);
}

static void test_null_is_allowed(void **state) {
    (void)state;
    assert_false(ERR_SET(NULL, ERR_INPUT, "x"));
    assert_false(err_wrap(NULL, "x"));
}

static void test_argument_may_be_the_old_sentence(void **state) {
    (void)state;
    struct err err = {0};
    ERR_SET(&err, ERR_INPUT, "inner");
    ERR_SET(&err, ERR_INPUT, "outer (%s)", err.msg);
    assert_string_equal(err.msg, "outer (inner)");
    err_wrap(&err, "%s", err.msg);
    assert_string_equal(err.msg, "outer (inner): outer (inner)");
}

static void test_long_sentences_are_cut(void **state) {
    (void)state;
    char text[2 * ERR_MSG_MAX];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct err err = {0};
    ERR_SET_ERRNO(&err, ERR_INPUT, EINVAL, "%s", text);
    assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
    err_wrap(&err, "y");
    assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
    assert_memory_equal(err.msg, "y: xxx", 6);
    err_wrap(&err, "%s", text);
    assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
}

static void test_exit_codes(void **state) {
    (void)state;
    const struct {
        enum err_class class;
        int code;
    } rows[] = {{ERR_INPUT, 1}, {ERR_USAGE, 2}, {ERR_ENVIRONMENT, 3}, {ERR_NONE, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err err = {.class = rows[i].class};
        assert_int_equal(err_exit_code(&err), rows[i].code);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_keeps_class_place_and_sentence),
        cmocka_unit_test(test_set_errno_appends_the_reason),
        cmocka_unit_test(test_wrap_keeps_the_origin),
        cmocka_unit_test(test_null_is_allowed),
        cmocka_unit_test(test_argument_may_be_the_old_sentence),
        cmocka_unit_test(test_long_sentences_are_cut),
        cmocka_unit_test(test_exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
