#include "tests/status/json_checks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

json_t *json_checks_parse(struct buf *out) {
    json_error_t error;
    json_t *json =
        json_loadb((const char *)buf_span(out).ptr, out->len, JSON_REJECT_DUPLICATES, &error);
    buf_fini(out);
    assert_non_null(json);
    return json;
}

json_t *json_checks_first(json_t *document, const char *key) {
    json_t *rows = json_object_get(document, key);
    assert_true(json_array_size(rows) >= 1);
    return json_array_get(rows, 0);
}

void json_checks_text(const json_t *row, const char *key, const char *expected) {
    assert_string_equal(json_string_value(json_object_get(row, key)), expected);
}

void json_checks_number(const json_t *row, const char *key, json_int_t expected) {
    assert_true(json_is_integer(json_object_get(row, key)));
    assert_int_equal(json_integer_value(json_object_get(row, key)), expected);
}
