#include "agent/http/http_fields.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void add(struct http_fields *fields, const char *name, const char *value) {
    assert_int_equal(http_fields_add(fields, span_of_text(name), span_of_text(value)),
                     HTTP_FIELDS_OK);
}

static void test_order_and_case(void **state) {
    (void)state;
    struct http_fields fields = {.num = 0};
    add(&fields, "Accept", "a");
    add(&fields, "X-One", "1");
    add(&fields, "accept", "");
    assert_int_equal(fields.num, 3);
    assert_int_equal(http_fields_count(&fields, "ACCEPT"), 2);
    assert_int_equal(http_fields_find(&fields, "x-one"), 1);
    assert_int_equal(http_fields_find(&fields, "x-two"), -1);
    assert_null(http_fields_get(&fields, "x-two").ptr);
    assert_true(span_equal_text(http_fields_name(&fields, 2), "accept"));
    assert_int_equal(http_fields_value(&fields, 2).len, 0);
    http_fields_remove_all(&fields, "aCCept");
    assert_int_equal(fields.num, 1);
    assert_true(span_equal_text(http_fields_value(&fields, 0), "1"));
    assert_int_equal(http_fields_set(&fields, "X-One", span_of_text("2")), HTTP_FIELDS_OK);
    assert_int_equal(fields.num, 1);
    assert_true(span_equal_text(http_fields_get(&fields, "x-one"), "2"));
    http_fields_fini(&fields);
}

static void test_tokens(void **state) {
    (void)state;
    struct http_fields fields = {.num = 0};
    add(&fields, "Connection", "keep-alive");
    add(&fields, "connection", "x , UPGRADE,");
    assert_true(http_fields_has_token(&fields, "Connection", "upgrade"));
    assert_true(http_fields_has_token(&fields, "Connection", "keep-alive"));
    assert_false(http_fields_has_token(&fields, "Connection", "keep"));
    assert_false(http_fields_has_token(&fields, "Upgrade", "upgrade"));
    http_fields_fini(&fields);
}

static void test_limits(void **state) {
    (void)state;
    struct http_fields fields = {.num = 0};
    static uint8_t large[HTTP_FIELDS_BYTES_MAX];
    assert_int_equal(http_fields_add(&fields, span_of_text("n"), span_of(large, sizeof(large))),
                     HTTP_FIELDS_TOO_LARGE);
    assert_int_equal(http_fields_add(&fields, span_of_text("n"), span_of(large, sizeof(large) - 1)),
                     HTTP_FIELDS_OK);
    assert_int_equal(http_fields_add(&fields, span_of_text("n"), span_of_text("")),
                     HTTP_FIELDS_TOO_LARGE);
    http_fields_fini(&fields);
    for (size_t i = 0; i < HTTP_FIELDS_MAX; i++) {
        add(&fields, "n", "v");
    }
    assert_int_equal(http_fields_add(&fields, span_of_text("n"), span_of_text("v")),
                     HTTP_FIELDS_TOO_LARGE);
    http_fields_fini(&fields);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_case),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
