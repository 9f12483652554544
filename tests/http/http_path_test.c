#include "agent/http/http_path.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/buf.h"

// Asked for, judged, forwarded.
static const char *const SAME[][3] = {
    {"/", "/", "/"},
    {"/a/b", "/a/b", "/a/b"},
    {"/a/b/", "/a/b/", "/a/b/"},
    {"/a//b", "/a/b", "/a/b"},
    {"//a", "/a", "/a"},
    {"///", "/", "/"},
    {"/a/./b", "/a/b", "/a/b"},
    {"/a/.", "/a/", "/a/"},
    {"/open/../x", "/x", "/x"},
    {"/open/..", "/", "/"},
    {"/a/b/../../c", "/c", "/c"},
    {"/a/b/..", "/a/", "/a/"},
    {"/open/%2e%2e/x", "/x", "/x"},
    {"/open/%2E./x", "/x", "/x"},
    {"/open%2f..%2fx", "/x", "/x"},
    {"/a%2Fb", "/a/b", "/a/b"},
    {"/a%20b", "/a b", "/a%20b"},
    {"/100%25", "/100%", "/100%25"},
    {"/%252e%252e/x", "/%2e%2e/x", "/%252e%252e/x"},
    {"/a%3Fb?c", "/a?b", "/a%3Fb?c"},
    {"/a%23b", "/a#b", "/a%23b"},
    {"/a%0d%0aX:%20y", "/a\r\nX: y", "/a%0D%0AX:%20y"},
    {"/%C3%A4", "/\xc3\xa4", "/%C3%A4"},
    {"/a?x=/../y&z=%2e%zz", "/a", "/a?x=/../y&z=%2e%zz"},
    {"/a/..b/c", "/a/..b/c", "/a/..b/c"},
    {"/a/...", "/a/...", "/a/..."},
    {"/a;v=1/b", "/a;v=1/b", "/a;v=1/b"},
    {"/~u/(x)!*'", "/~u/(x)!*'", "/~u/(x)!*'"},
    {"/%7eu%41", "/~uA", "/~uA"},
};

static const char *const REFUSED[] = {
    "",         "a",       "?q",          "*",          "/..",        "/../x",
    "/a/../..", "/%2e%2e", "/a%",         "/a%4",       "/a%zz",      "/a%4z",
    "/a%00b",   "/a\\b",   "/a%5cb",      "/a/..;/x",   "/a/.;x=1/b", "/a/%2e%2e;/x",
    "/;x",      "/a/%3b",  "/a/..%3bx/b", "/a/../../b",
};

static void test_normal_form(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(SAME) / sizeof(SAME[0]); i++) {
        struct span target = span_of_text(SAME[i][0]);
        struct buf decoded = {0}, again = {0}, out = {0};
        const char *why = NULL;
        assert_int_equal(http_path_normalise(target, &decoded, &why), HTTP_PATH_OK);
        assert_true(span_equal_text(buf_span(&decoded), SAME[i][1]));
        assert_true(http_path_render(buf_span(&decoded), target, &out));
        assert_true(span_equal_text(buf_span(&out), SAME[i][2]));
        // What is forwarded means what was judged.
        assert_int_equal(http_path_normalise(buf_span(&out), &again, &why), HTTP_PATH_OK);
        assert_true(span_equal(buf_span(&again), buf_span(&decoded)));
        buf_fini(&decoded);
        buf_fini(&again);
        buf_fini(&out);
    }
}

static void test_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(REFUSED) / sizeof(REFUSED[0]); i++) {
        struct buf decoded = {0};
        const char *why = NULL;
        assert_int_equal(http_path_normalise(span_of_text(REFUSED[i]), &decoded, &why),
                         HTTP_PATH_BAD);
        assert_non_null(why);
        buf_fini(&decoded);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normal_form),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
