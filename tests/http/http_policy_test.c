#include "agent/http/http_policy.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct http_server_name NAMES[] = {
    {"a.test", true}, {"b.test", true}, {"open.test", false}, {"*.wild.test", true}};
static const char *const SKIP[] = {"^/open"};

static struct http_policy *policy_of(const struct http_policy_setup *setup) {
    struct err err = {0};
    struct http_policy *policy = http_policy_new(setup, &err);
    assert_non_null(policy);
    return policy;
}

// The status, and the target or Location compared with `target`.
static int judge(const struct http_policy *policy, const struct http_caller *caller,
                 const char *authority, const char *path, const char *target) {
    struct http_fields request = {.num = 0};
    struct http_verdict verdict;
    assert_int_equal(http_fields_set(&request, ":method", span_of_text("GET")), HTTP_FIELDS_OK);
    assert_int_equal(http_fields_set(&request, ":path", span_of_text(path)), HTTP_FIELDS_OK);
    assert_int_equal(http_fields_set(&request, ":authority", span_of_text(authority)),
                     HTTP_FIELDS_OK);
    http_policy_judge(policy, caller, &request, &verdict);
    int status = verdict.status;
    if (target != NULL && (status == 0 || status == 301)) {
        assert_true(span_equal_text(buf_span(&verdict.target), target));
    } else if (target != NULL) {
        assert_string_equal(verdict.why, target);
    }
    assert_int_equal(status == 0, verdict.reason == HTTP_REASON_NONE);
    http_verdict_fini(&verdict);
    http_fields_fini(&request);
    return status;
}

static void test_untouched_without_rules(void **state) {
    (void)state;
    OWNED(http_policy_free)
    struct http_policy *policy = policy_of(&(struct http_policy_setup){.num_rules = 0});
    const struct http_caller caller = {.tls = true};
    assert_int_equal(judge(policy, &caller, "h", "/a//b/../%41?%zz", "/a//b/../%41?%zz"), 0);
    assert_int_equal(judge(policy, &caller, "h", "*", NULL), 400);
    assert_int_equal(judge(policy, &caller, "h/x", "/", NULL), 400);
}

// Acceptance 17.
static void test_exempted_paths(void **state) {
    (void)state;
    OWNED(http_policy_free)
    struct http_policy *policy =
        policy_of(&(struct http_policy_setup){.skip_mtls = SKIP, .num_skip_mtls = 1});
    struct http_caller caller = {.tls = true, .requires_client = true};
    assert_int_equal(judge(policy, &caller, "h", "/open?q=1", "/open?q=1"), 0);
    assert_int_equal(judge(policy, &caller, "h", "/x", "client certificate was not present"), 400);
    assert_int_equal(judge(policy, &caller, "h", "/open/../x", NULL), 400);
    assert_int_equal(judge(policy, &caller, "h", "/open/%2e%2e/x", NULL), 400);
    assert_int_equal(judge(policy, &caller, "h", "/open%2f../x", NULL), 400);
    assert_int_equal(judge(policy, &caller, "h", "/open/..;/x", NULL), 400);
    assert_int_equal(judge(policy, &caller, "h", "/x/../open//y", "/open/y"), 0);
    caller.client = HTTP_CLIENT_REFUSED;
    caller.refusal = "self signed certificate";
    assert_int_equal(judge(policy, &caller, "h", "/open", "/open"), 0);
    assert_int_equal(judge(policy, &caller, "h", "/x",
                           "client certificate verification is not passed: FAILED:self signed "
                           "certificate"),
                     400);
    caller.client = HTTP_CLIENT_VERIFIED;
    assert_int_equal(judge(policy, &caller, "h", "/x", "/x"), 0);
}

static void test_host_and_sni(void **state) {
    (void)state;
    OWNED(http_policy_free)
    struct http_policy *policy =
        policy_of(&(struct http_policy_setup){.names = NAMES,
                                              .num_names = 4,
                                              .check_host_matches_sni = true,
                                              .skip_mtls = SKIP,
                                              .num_skip_mtls = 1});
    struct http_caller caller = {.tls = true, .sni = "a.test", .client = HTTP_CLIENT_VERIFIED};
    assert_int_equal(judge(policy, &caller, "A.Test.:8443", "/", "/"), 0);
    assert_int_equal(judge(policy, &caller, "b.test", "/",
                           "client certificate verified with SNI a.test, but the host is b.test"),
                     400);
    assert_int_equal(judge(policy, &caller, "b.test", "/open", NULL), 400);  // not lifted
    assert_int_equal(judge(policy, &caller, "open.test", "/", NULL), 400);   // the SNI's requires
    assert_int_equal(judge(policy, &caller, "elsewhere.test", "/", "/"), 0); // without an entry
    assert_int_equal(judge(policy, &caller, "x.wild.test", "/", NULL), 400);
    caller.sni = "open.test";
    assert_int_equal(judge(policy, &caller, "a.test", "/", NULL), 400);
    assert_int_equal(judge(policy, &caller, "x.y.wild.test", "/", "/"), 0);
    caller.sni = NULL;
    assert_int_equal(judge(policy, &caller, "a.test", "/", NULL), 400);
    caller.mesh = true; // there is no server name in a tunnel
    assert_int_equal(judge(policy, &caller, "a.test", "/", "/"), 0);
    caller.mesh = false;
    caller.tls = false; // permissive: there was no handshake to compare with
    assert_int_equal(judge(policy, &caller, "a.test", "/", "/"), 0);
}

static void test_only_name_without_sni(void **state) {
    (void)state;
    OWNED(http_policy_free)
    struct http_policy *policy = policy_of(&(struct http_policy_setup){
        .names = NAMES, .num_names = 1, .check_host_matches_sni = true});
    const struct http_caller caller = {.tls = true, .client = HTTP_CLIENT_VERIFIED};
    assert_int_equal(judge(policy, &caller, "a.test", "/", "/"), 0);
}

static void test_redirect(void **state) {
    (void)state;
    OWNED(http_policy_free)
    struct http_policy *policy =
        policy_of(&(struct http_policy_setup){.redirect_to_https = true, .port = 8443});
    OWNED(http_policy_free)
    struct http_policy *usual =
        policy_of(&(struct http_policy_setup){.redirect_to_https = true, .port = 443});
    const struct http_caller caller = {.requires_client = true};
    assert_int_equal(judge(policy, &caller, "H:80", "/a/../b?c", "https://h:8443/a/../b?c"), 301);
    assert_int_equal(judge(usual, &caller, "h", "/", "https://h/"), 301);
    assert_int_equal(judge(policy, &caller, "", "/", NULL), 400);
}

static void test_rules(void **state) {
    (void)state;
    const struct http_rule rule = {.path_prefix = "/v1", .strip_prefix = true};
    OWNED(http_policy_free)
    struct http_policy *policy =
        policy_of(&(struct http_policy_setup){.rules = &rule, .num_rules = 1});
    const struct http_caller caller = {.tls = true};
    assert_int_equal(judge(policy, &caller, "h", "/v1/a%20b?x=%zz", "/a%20b?x=%zz"), 0);
    assert_int_equal(judge(policy, &caller, "h", "/v1/../x", NULL), 404);
    assert_int_equal(judge(policy, &caller, "h", "/v1/%", NULL), 400);
    const struct http_rule bad = {.path_prefix = "v1"};
    const char *pattern = "(";
    assert_null(http_policy_new(&(struct http_policy_setup){.rules = &bad, .num_rules = 1}, NULL));
    assert_null(http_policy_new(
        &(struct http_policy_setup){.skip_mtls = &pattern, .num_skip_mtls = 1}, NULL));
    assert_string_equal(http_reason_name(HTTP_REASON_NO_RULE), "no_rule");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_untouched_without_rules),
        cmocka_unit_test(test_exempted_paths),
        cmocka_unit_test(test_host_and_sni),
        cmocka_unit_test(test_only_name_without_sni),
        cmocka_unit_test(test_redirect),
        cmocka_unit_test(test_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
