// UTF-8 to UTF-16: every length, surrogates, and what is no UTF-8.
#include "base/utf16.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct row {
    const char *text;
    size_t num;
    uint16_t units[8];
};

static void every_kind_of_character(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"aZ", 2, {'a', 'Z'}},
        {"\xc3\xa9", 1, {0xe9}},
        {"\xe2\x82\xac", 1, {0x20ac}},
        {"\xf0\x9f\x98\x80", 2, {0xd83d, 0xde00}},
        {"\xf4\x8f\xbf\xbf", 2, {0xdbff, 0xdfff}},
        {"\x80", 1, {0xfffd}},
        {"\xc3", 1, {0xfffd}},                                     // cut short
        {"\xc3(", 2, {0xfffd, '('}},                               // not a continuation
        {"\xc0\x80", 2, {0xfffd, 0xfffd}},                         // not the shortest form
        {"\xe0\x80\x80", 3, {0xfffd, 0xfffd, 0xfffd}},             // nor this
        {"\xed\xa0\x80", 3, {0xfffd, 0xfffd, 0xfffd}},             // a surrogate
        {"\xf4\x90\x80\x80", 4, {0xfffd, 0xfffd, 0xfffd, 0xfffd}}, // beyond Unicode
        {"\xff", 1, {0xfffd}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *text = rows[i].text;
        size_t num = 0;
        while (*text != '\0') {
            uint16_t units[2] = {0};
            size_t got = utf16_next(&text, units);
            assert_in_range(got, 1, 2);
            for (size_t j = 0; j < got; j++) {
                assert_true(num < rows[i].num);
                assert_int_equal(units[j], rows[i].units[num++]);
            }
        }
        assert_int_equal(num, rows[i].num);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_kind_of_character)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
