#include "agent/http/uri_patterns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct uri_patterns *compile(const char *pattern) {
    struct uri_patterns *patterns = uri_patterns_new(&pattern, 1, NULL);
    assert_non_null(patterns);
    return patterns;
}

static bool match(const char *pattern, const char *path) {
    OWNED(uri_patterns_free) struct uri_patterns *patterns = compile(pattern);
    return uri_patterns_match(patterns, span_of_text(path));
}

static void test_search(void **state) {
    (void)state;
    assert_true(match("^/open", "/open"));
    assert_true(match("^/open", "/open/x"));
    assert_false(match("^/open", "/x/open"));
    assert_true(match("/open", "/x/open")); // unanchored
    assert_false(match("^/OPEN", "/open")); // case-sensitive
    assert_true(match("^/v(?:1|2)/(?=health)", "/v2/healthz"));
    assert_true(match("^/(\\w+)/\\1$", "/ab/ab"));
    assert_true(match("^/open$", "/open"));
    assert_false(match("^/open$", "/open\n/x"));
    assert_false(match("^/open$", "/open\n")); // "$" is the end, not before a newline
}

static void test_any_of_several(void **state) {
    (void)state;
    static const char *const LIST[] = {"^/a$", "^/b$"};
    OWNED(uri_patterns_free) struct uri_patterns *patterns = uri_patterns_new(LIST, 2, NULL);
    assert_true(uri_patterns_match(patterns, span_of_text("/b")));
    assert_false(uri_patterns_match(patterns, span_of_text("/c")));
    OWNED(uri_patterns_free) struct uri_patterns *none = uri_patterns_new(NULL, 0, NULL);
    assert_true(uri_patterns_is_empty(none));
    assert_false(uri_patterns_match(none, span_of_text("/")));
}

// Without the bound this takes longer than the test may.
static void test_bounded(void **state) {
    (void)state;
    char path[4096];
    memset(path, 'a', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    path[0] = '/';
    assert_false(match("^/(a|aa|aaa)+(a+)+$x", path));
    assert_false(match("(?:a*)*b", path));
}

static void test_mistakes(void **state) {
    (void)state;
    static const char *const BAD[] = {"(", "[a", "*a", "", "\\C"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        struct err err = {0};
        assert_null(uri_patterns_new(&BAD[i], 1, &err));
        assert_non_null(strstr(err.msg, "skipMtlsUriRegex"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_any_of_several),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
