#include "agent/http/http_chars.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_alphabets(void **state) {
    (void)state;
    for (int c = 0; c < 256; c++) {
        uint8_t byte = (uint8_t)c;
        struct span one = span_of(&byte, 1);
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool mark = c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
        assert_int_equal(http_chars_is_token(one), alnum || mark);
        assert_int_equal(http_chars_is_field_value(one), c == '\t' || (c >= 0x20 && c != 0x7f));
        assert_int_equal(http_chars_is_target(one), c > 0x20 && c < 0x7f && c != '#');
        assert_int_equal(http_chars_is_host(one), alnum || (c != 0 && strchr(".-_", c) != NULL));
    }
    assert_false(http_chars_is_token(span_of_text("")));
    assert_true(http_chars_is_field_value(span_of_text("")));
    assert_true(http_chars_is_host(span_of_text("[::1]")));
    assert_false(http_chars_is_host(span_of_text("::1")));
    assert_false(http_chars_is_host(span_of_text("[]")));
    assert_false(http_chars_is_host(span_of_text("[::1")));
}

static void test_lists(void **state) {
    (void)state;
    struct span rest = span_of_text(" , a,\tb c ,,d"), element;
    static const char *const WANTED[] = {"a", "b c", "d"};
    for (size_t i = 0; i < 3; i++) {
        assert_true(http_chars_next_element(&rest, &element));
        assert_true(span_equal_text(element, WANTED[i]));
    }
    assert_false(http_chars_next_element(&rest, &element));
}

static void test_decimal(void **state) {
    (void)state;
    uint64_t value = 7;
    assert_true(http_chars_decimal(span_of_text("0"), &value));
    assert_int_equal(value, 0);
    assert_true(http_chars_decimal(span_of_text("18446744073709551609"), &value));
    assert_true(value == UINT64_C(18446744073709551609));
    static const char *const BAD[] = {"", "-1", "+1", " 1", "1 ", "0x1", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        assert_false(http_chars_decimal(span_of_text(BAD[i]), &value));
    }
}

static void test_case(void **state) {
    (void)state;
    assert_true(http_chars_equal_nocase(span_of_text("HoSt"), "host"));
    assert_false(http_chars_equal_nocase(span_of_text("host "), "host"));
    assert_false(http_chars_equal_nocase(span_of_text("h@st"), "h`st"));
    assert_int_equal(http_chars_hex('f'), 15);
    assert_int_equal(http_chars_hex('F'), 15);
    assert_int_equal(http_chars_hex('g'), -1);
    assert_true(span_equal_text(http_chars_trim(span_of_text(" \ta b\t ")), "a b"));
    assert_int_equal(http_chars_trim(span_of_text(" \t ")).len, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alphabets),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_decimal),
        cmocka_unit_test(test_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
