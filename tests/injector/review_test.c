#include "agent/injector/review.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct answered {
    bool ok;
    struct review_report report;
    char *text; // "" when there is none
};

static struct answered ask(struct span request) {
    struct settings settings;
    struct answered answered = {0};
    struct buf out = {0};
    settings_init(&settings);
    answered.ok = review_answer(request, &settings, &out, &answered.report);
    answered.text = buf_take_text(&out);
    assert_non_null(answered.text);
    return answered;
}

static void expect(const char *request, enum review_result result, const char *part) {
    struct answered answered = ask(span_of_text(request));
    assert_true(answered.ok);
    if (answered.report.result != result || strstr(answered.text, part) == NULL) {
        fail_msg("%s\n%s: %s", request, answered.report.sentence, answered.text);
    }
    free(answered.text);
}

#define REVIEW(inside)                                                                             \
    "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{\"uid\":"   \
    "\"u-1\",\"namespace\":\"shop\",\"kind\":{\"group\":\"\",\"version\":\"v1\",\"kind\":\"Pod\"}" \
    ","                                                                                            \
    "\"operation\":\"CREATE\",\"object\":" inside "}}"
#define PLAIN                                                                                      \
    "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"response\":{\"uid\":"  \
    "\"u-1\",\"allowed\":true}}"

static void test_patched(void **state) {
    (void)state;
    struct answered answered = ask(span_of_text(
        REVIEW("{\"metadata\":{\"generateName\":\"web-\"},\"spec\":{\"containers\":[{\"name\":"
               "\"a\"}]}}")));
    assert_int_equal(answered.report.result, REVIEW_PATCHED);
    assert_string_equal(answered.report.namespace, "shop");
    assert_string_equal(answered.report.name, "web-");
    assert_non_null(strstr(answered.text, "\"uid\":\"u-1\",\"allowed\":true,"
                                          "\"patchType\":\"JSONPatch\",\"patch\":\"W3sib3AiOiJh"));
    free(answered.text);
}

static void test_left_alone(void **state) {
    (void)state;
    expect(REVIEW("{\"spec\":{\"hostNetwork\":true,\"containers\":[{\"name\":\"a\"}]}}"),
           REVIEW_LEFT_ALONE, PLAIN);
    expect(REVIEW("{\"metadata\":{\"annotations\":{\"pavise/injected\":\"1\"}},\"spec\":"
                  "{\"containers\":[{\"name\":\"a\"}]}}"),
           REVIEW_LEFT_ALONE, PLAIN);
    expect(REVIEW("null"), REVIEW_LEFT_ALONE, PLAIN);
    expect("{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":"
           "{\"uid\":\"u-1\",\"operation\":\"DELETE\"}}",
           REVIEW_LEFT_ALONE, PLAIN);
}

static void test_denied(void **state) {
    (void)state;
    expect(REVIEW("{\"metadata\":{\"annotations\":{\"pavise/mode\":\"lax\"}},\"spec\":"
                  "{\"containers\":[{\"name\":\"a\"}]}}"),
           REVIEW_DENIED,
           "\"allowed\":false,\"status\":{\"code\":422,\"reason\":\"Invalid\",\"message\":"
           "\"pavise: pavise/mode wants strict or permissive\"}}}");
}

static void test_what_is_no_review(void **state) {
    (void)state;
    static const char *const requests[] = {
        "",
        "null",
        "[]",
        "{",
        "\"x\"",
        "{\"kind\":\"AdmissionReview\"}",
        "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1beta1\"}",
        "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\"}",
        ("{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":"
         "{\"uid\":\"\"}}")};
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        struct answered answered = ask(span_of_text(requests[i]));
        assert_true(answered.ok);
        assert_int_equal(answered.report.result, REVIEW_BAD);
        assert_int_not_equal(answered.report.sentence[0], '\0');
        assert_string_equal(answered.text, "");
        free(answered.text);
    }
}

static void test_too_long(void **state) {
    (void)state;
    uint8_t *much = calloc(1, REVIEW_MAX + 1);
    assert_non_null(much);
    struct answered answered = ask(span_of(much, REVIEW_MAX + 1));
    assert_int_equal(answered.report.result, REVIEW_BAD);
    assert_string_equal(answered.report.sentence, "it is longer than 4 MiB");
    free(answered.text);
    free(much);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patched),  cmocka_unit_test(test_left_alone),
        cmocka_unit_test(test_denied),   cmocka_unit_test(test_what_is_no_review),
        cmocka_unit_test(test_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
