#include "agent/http/http_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define TEXTS(...)                                                                                 \
    (const char *const[]) {                                                                        \
        __VA_ARGS__                                                                                \
    }

static int match(const struct http_rules *rules, const char *host, const char *method,
                 const char *path, const char *forwarded) {
    struct http_match found =
        http_rules_match(rules, span_of_text(host), span_of_text(method), span_of_text(path));
    if (found.rule >= 0) {
        assert_true(span_equal_text(found.path, forwarded));
    }
    return found.rule;
}

// The flow of the API7 document: host, prefix /v1, exact /json, GET.
static void test_seed_flow(void **state) {
    (void)state;
    const struct http_path_rule json = {.path = "/json", .exact = true};
    const struct http_rule rule = {
        .hosts = TEXTS("mtls.httpbin.org"),
        .num_hosts = 1,
        .path_prefix = "/v1",
        .strip_prefix = true,
        .methods = TEXTS("GET"),
        .num_methods = 1,
        .paths = &json,
        .num_paths = 1,
    };
    OWNED(http_rules_free) struct http_rules *rules = http_rules_new(&rule, 1, NULL);
    assert_non_null(rules);
    assert_int_equal(match(rules, "mtls.httpbin.org", "GET", "/v1/json", "/json"), 0);
    assert_int_equal(match(rules, "mtls.httpbin.org", "POST", "/v1/json", NULL), -1);
    assert_int_equal(match(rules, "mtls.httpbin.org", "get", "/v1/json", NULL), -1);
    assert_int_equal(match(rules, "mtls.httpbin.org", "GET", "/v1/json/x", NULL), -1);
    assert_int_equal(match(rules, "mtls.httpbin.org", "GET", "/v1/json/", NULL), -1);
    assert_int_equal(match(rules, "mtls.httpbin.org", "GET", "/v1/other", NULL), -1);
    assert_int_equal(match(rules, "mtls.httpbin.org", "GET", "/json", NULL), -1);
    assert_int_equal(match(rules, "mtls.httpbin.org", "GET", "/v10/json", NULL), -1);
    assert_int_equal(match(rules, "other.org", "GET", "/v1/json", NULL), -1);
    assert_int_equal(match(rules, "", "GET", "/v1/json", NULL), -1);
}

static void test_first_match_decides(void **state) {
    (void)state;
    const struct http_path_rule api[] = {{.path = "/api"}, {.path = "/b/"}};
    const struct http_rule list[] = {
        {.hosts = TEXTS("*.Example.org", "x"), .num_hosts = 2, .paths = api, .num_paths = 2},
        {.path_prefix = "/v2/", .strip_prefix = true},
        {.path_prefix = "/v2", .methods = TEXTS("PUT", "PATCH"), .num_methods = 2},
    };
    OWNED(http_rules_free) struct http_rules *rules = http_rules_new(list, 3, NULL);
    assert_non_null(rules);
    assert_int_equal(match(rules, "a.example.org", "GET", "/api/1", "/api/1"), 0);
    assert_int_equal(match(rules, "a.example.org", "GET", "/api", "/api"), 0);
    assert_int_equal(match(rules, "a.example.org", "GET", "/apis", NULL), -1);
    assert_int_equal(match(rules, "x", "GET", "/b/c", "/b/c"), 0);
    assert_int_equal(match(rules, "x", "GET", "/b", NULL), -1);
    assert_int_equal(match(rules, "b.a.example.org", "GET", "/api", NULL), -1);
    assert_int_equal(match(rules, "example.org", "GET", "/api", NULL), -1);
    assert_int_equal(match(rules, "y", "PUT", "/v2", "/"), 1);
    assert_int_equal(match(rules, "y", "PUT", "/v2/z", "/z"), 1);
    assert_int_equal(match(rules, "y", "PUT", "/v20", NULL), -1);
}

static void test_no_rules(void **state) {
    (void)state;
    OWNED(http_rules_free) struct http_rules *rules = http_rules_new(NULL, 0, NULL);
    assert_true(http_rules_is_empty(rules));
    assert_int_equal(match(rules, "any", "BREW", "/x", "/x"), 0);
}

static void test_host_patterns(void **state) {
    (void)state;
    assert_true(http_rules_host_matches("*", span_of_text("a.b")));
    assert_true(http_rules_host_matches("*.b", span_of_text("a.b")));
    assert_false(http_rules_host_matches("*.b", span_of_text("b")));
    assert_false(http_rules_host_matches("*.b", span_of_text(".b")));
    assert_false(http_rules_host_matches("*.b", span_of_text("a.a.b")));
    assert_true(http_rules_host_matches("a.b", span_of_text("A.B")));
    assert_false(http_rules_host_matches("a.b", span_of_text("axb")));
}

static void refused(const struct http_rule *rule, const char *word) {
    struct err err = {0};
    assert_null(http_rules_new(rule, 1, &err));
    assert_non_null(strstr(err.msg, word));
}

static void test_mistakes(void **state) {
    (void)state;
    const struct http_path_rule dots = {.path = "/a/../b"};
    const struct http_path_rule dots_last = {.path = "/a/.."};
    const struct http_path_rule dot_last = {.path = "/."};
    const struct http_path_rule encoded = {.path = "/a%20b"};
    refused(&(struct http_rule){.hosts = TEXTS("a b"), .num_hosts = 1}, "a b");
    refused(&(struct http_rule){.hosts = TEXTS("*a"), .num_hosts = 1}, "*a");
    refused(&(struct http_rule){.methods = TEXTS("GET,POST"), .num_methods = 1}, "GET,POST");
    refused(&(struct http_rule){.path_prefix = "v1"}, "v1");
    refused(&(struct http_rule){.paths = &dots, .num_paths = 1}, "/a/../b");
    refused(&(struct http_rule){.paths = &dots_last, .num_paths = 1}, "/a/..");
    refused(&(struct http_rule){.paths = &dot_last, .num_paths = 1}, "/.");
    refused(&(struct http_rule){.paths = &encoded, .num_paths = 1}, "/a%20b");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_flow), cmocka_unit_test(test_first_match_decides),
        cmocka_unit_test(test_no_rules),  cmocka_unit_test(test_host_patterns),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
