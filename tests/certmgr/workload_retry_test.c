// The rules of SPIFFE Workload API, section 5, as a table.
#include "certmgr/workload_retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "certmgr/grpc_code.h"

#define RANDOM_NONE 0u          // the whole delay
#define RANDOM_MOST 0xffffffffu // half of it

struct row {
    int code;
    bool reached;
    bool message_seen;
    int64_t lived_ms;
    struct workload_decision want; // of the first failure, without jitter
};

static const struct row ROWS[] = {
    // A stream that ended well is opened again at once, unless it was very short.
    {GRPC_CODE_OK, true, true, 1000, {SOURCE_CONNECTING, true, false, 0}},
    {GRPC_CODE_OK, true, true, 999, {SOURCE_CONNECTING, true, false, 250}},
    {GRPC_CODE_OK, true, false, 5000, {SOURCE_CONNECTING, true, false, 250}},
    {GRPC_CODE_CANCELLED, true, true, 5000, {SOURCE_CONNECTING, true, false, 250}},
    {GRPC_CODE_UNKNOWN, true, false, 5, {SOURCE_CONNECTING, true, false, 250}},
    {GRPC_CODE_INVALID_ARGUMENT, true, false, 5, {SOURCE_FAILED, false, false, 0}},
    {GRPC_CODE_INVALID_ARGUMENT, true, true, 5000, {SOURCE_FAILED, false, false, 0}},
    {GRPC_CODE_DEADLINE_EXCEEDED, true, false, 5, {SOURCE_CONNECTING, true, false, 250}},
    {GRPC_CODE_PERMISSION_DENIED, true, false, 5, {SOURCE_DENIED, true, true, 250}},
    {GRPC_CODE_PERMISSION_DENIED, true, true, 5000, {SOURCE_DENIED, true, true, 250}},
    {GRPC_CODE_RESOURCE_EXHAUSTED, true, false, 5, {SOURCE_CONNECTING, true, false, 250}},
    {GRPC_CODE_UNIMPLEMENTED, true, false, 5, {SOURCE_FAILED, false, false, 0}},
    {GRPC_CODE_INTERNAL, true, false, 5, {SOURCE_CONNECTING, true, false, 250}},
    {GRPC_CODE_UNAVAILABLE, true, false, 5, {SOURCE_CONNECTING, true, false, 250}},
    {GRPC_CODE_UNAVAILABLE, true, true, 5000, {SOURCE_CONNECTING, true, false, 250}},
    {GRPC_CODE_UNAVAILABLE, false, false, 5, {SOURCE_CONNECTING, true, false, 250}},
    {GRPC_CODE_UNAUTHENTICATED, true, false, 5, {SOURCE_CONNECTING, true, false, 250}},
    {17, true, false, 5, {SOURCE_CONNECTING, true, false, 250}},
    {-1, true, false, 5, {SOURCE_CONNECTING, true, false, 250}},
    {0x7fffffff, true, false, 5, {SOURCE_CONNECTING, true, false, 250}},
};

static struct workload_end end_of(const struct row *row) {
    return (struct workload_end){.code = row->code,
                                 .reached = row->reached,
                                 .message_seen = row->message_seen,
                                 .lived_ms = row->lived_ms,
                                 .endpoint = "unix:///s",
                                 .details = "why"};
}

static void decision_follows_the_table(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct workload_retry retry = {0};
        struct workload_end end = end_of(&ROWS[i]);
        struct workload_decision got = workload_retry_decide(&retry, &end, RANDOM_NONE);
        assert_int_equal(got.state, ROWS[i].want.state);
        assert_int_equal(got.retry, ROWS[i].want.retry);
        assert_int_equal(got.withdraw, ROWS[i].want.withdraw);
        assert_int_equal(got.delay_ms, ROWS[i].want.delay_ms);
    }
}

static void failures_double_the_delay_up_to(int64_t max, const struct workload_end *end) {
    struct workload_retry retry = {0};
    int64_t want = WORKLOAD_RETRY_BASE_MS;
    for (int i = 0; i < 100; i++) {
        struct workload_retry same = retry;
        assert_int_equal(workload_retry_decide(&retry, end, RANDOM_NONE).delay_ms, want);
        int64_t least = workload_retry_decide(&same, end, RANDOM_MOST).delay_ms;
        assert_in_range(least, want / 2, want / 2 + 1);
        want = want * 2 > max ? max : want * 2;
    }
    assert_int_equal(want, max);
}

static void backoff_is_bounded(void **state) {
    (void)state;
    struct workload_end end = {.code = GRPC_CODE_UNAVAILABLE, .reached = true};
    failures_double_the_delay_up_to(WORKLOAD_RETRY_MAX_MS, &end);
    end.code = GRPC_CODE_PERMISSION_DENIED;
    failures_double_the_delay_up_to(WORKLOAD_RETRY_MAX_MS, &end);
    end.code = GRPC_CODE_OK; // ends every stream at once, without a message
    failures_double_the_delay_up_to(WORKLOAD_RETRY_MAX_MS, &end);
    // A socket that appears is to be noticed within a second.
    end = (struct workload_end){.code = GRPC_CODE_UNAVAILABLE};
    failures_double_the_delay_up_to(WORKLOAD_RETRY_UNREACHED_MAX_MS, &end);
}

static void received_message_resets_the_backoff(void **state) {
    (void)state;
    struct workload_retry retry = {.failures = 50};
    struct workload_end end = {
        .code = GRPC_CODE_UNAVAILABLE, .reached = true, .message_seen = true};
    assert_int_equal(workload_retry_decide(&retry, &end, RANDOM_NONE).delay_ms, 250);
    end.message_seen = false;
    assert_int_equal(workload_retry_decide(&retry, &end, RANDOM_NONE).delay_ms, 500);
}

static void overflow_of_failures_keeps_the_bound(void **state) {
    (void)state;
    struct workload_retry retry = {.failures = 0xffffffffu};
    struct workload_end end = {.code = GRPC_CODE_UNAVAILABLE, .reached = true};
    assert_int_equal(workload_retry_decide(&retry, &end, RANDOM_NONE).delay_ms, 30000);
}

static void sentences_name_place_code_and_advice(void **state) {
    (void)state;
    char text[512];
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct workload_end end = end_of(&ROWS[i]);
        workload_retry_explain(&end, text, sizeof(text));
        assert_non_null(strstr(text, "unix:///s"));
        assert_non_null(strstr(text, "why"));
    }
    struct workload_end end = {
        .code = GRPC_CODE_PERMISSION_DENIED, .reached = true, .endpoint = "e", .details = ""};
    workload_retry_explain(&end, text, sizeof(text));
    assert_non_null(strstr(text, "PERMISSION_DENIED"));
    assert_non_null(strstr(text, "register"));
    end = (struct workload_end){.code = GRPC_CODE_UNAVAILABLE, .endpoint = "e"};
    workload_retry_explain(&end, text, sizeof(text));
    assert_non_null(strstr(text, "cannot connect"));
    assert_non_null(strstr(text, "is it running"));
    char small[8];
    workload_retry_explain(&end, small, sizeof(small));
    assert_int_equal(strlen(small), 7);
}

// SPIRE and Istio say INVALID_ARGUMENT about a name that they do not have (yet).
static void sds_server_may_learn_a_name(void **state) {
    (void)state;
    struct workload_retry retry = {0};
    struct workload_end end = {.service = WORKLOAD_SERVICE_SDS,
                               .code = GRPC_CODE_INVALID_ARGUMENT,
                               .reached = true,
                               .endpoint = "e"};
    struct workload_decision got = workload_retry_decide(&retry, &end, RANDOM_NONE);
    assert_true(got.retry);
    assert_false(got.withdraw);
    assert_int_equal(got.state, SOURCE_CONNECTING);
    char text[512];
    workload_retry_explain(&end, text, sizeof(text));
    assert_non_null(strstr(text, "identity.sds.bundle"));
    end.code = GRPC_CODE_UNIMPLEMENTED;
    assert_false(workload_retry_decide(&retry, &end, RANDOM_NONE).retry);
    workload_retry_explain(&end, text, sizeof(text));
    assert_non_null(strstr(text, "SDS server"));
    end.code = GRPC_CODE_PERMISSION_DENIED;
    assert_true(workload_retry_decide(&retry, &end, RANDOM_NONE).withdraw);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sds_server_may_learn_a_name),
        cmocka_unit_test(decision_follows_the_table),
        cmocka_unit_test(backoff_is_bounded),
        cmocka_unit_test(received_message_resets_the_backoff),
        cmocka_unit_test(overflow_of_failures_keeps_the_bound),
        cmocka_unit_test(sentences_name_place_code_and_advice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
