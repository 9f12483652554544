#include "agent/status/escape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define BAD "\xef\xbf\xbd"

typedef bool escape_fn(struct buf *out, const char *text);

static void check(escape_fn *escape, const char *text, const char *expected) {
    struct buf out = {0};
    assert_true(escape(&out, text));
    assert_true(buf_append(&out, "", 1));
    assert_string_equal((const char *)buf_span(&out).ptr, expected);
    buf_fini(&out);
}

static void test_html(void **state UNUSED) {
    check(escape_html, "<script>alert(\"1\" & '2')</script>",
          "&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;");
    check(escape_html, "", "");
    check(escape_html, "caf\xc3\xa9 \xf0\x9f\x9b\xa1", "caf\xc3\xa9 \xf0\x9f\x9b\xa1");
}

static void test_label(void **state UNUSED) {
    check(escape_label, "a\\b\"c", "a\\\\b\\\"c");
    check(escape_label, "a\nb", "a" BAD "b");
    check(escape_label, "<>&'", "<>&'");
}

static void test_hostile(void **state UNUSED) {
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"a\x1b[31mred", "a" BAD "[31mred"},
        {"a\rb\tc\x7f", "a" BAD "b" BAD "c" BAD},
        {"\xc2\x9b"
         "31m",
         BAD "31m"}, // C1 control: CSI
        {"\xe2\x80\xae"
         "gpj",
         BAD "gpj"},                              // right-to-left override
        {"\xe2\x80\x8b", BAD},                    // zero width
        {"\xff\xfe", BAD BAD},                    // never in UTF-8
        {"\xc0\xaf", BAD BAD},                    // overlong '/'
        {"\xe0\x80\xaf", BAD BAD BAD},            // overlong '/'
        {"\xed\xa0\x80", BAD BAD BAD},            // a surrogate
        {"\xf4\x90\x80\x80", BAD BAD BAD BAD},    // over U+10FFFF
        {"\xf9\x80\x80\x80", BAD BAD BAD BAD},    // a five-byte lead
        {"\xe2\x82", BAD BAD},                    // cut by the end
        {"\xf0\x9f\x9b", BAD BAD BAD},            // cut by the end
        {"\xe2(\xa1", BAD "(" BAD},               // cut by another character
        {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"}, // U+10FFFF itself
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check(escape_plain, rows[i].text, rows[i].expected);
        check(escape_html, rows[i].text, rows[i].expected);
        check(escape_label, rows[i].text, rows[i].expected);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_html),
        cmocka_unit_test(test_label),
        cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
