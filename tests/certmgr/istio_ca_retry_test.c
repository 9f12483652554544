// What each status means: a row for every code, so that none is forgotten.
#include "certmgr/istio_ca_retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "certmgr/grpc_code.h"

static const struct row {
    int code;
    enum source_state state;
    bool is_slow;
    bool withdraw;
} rows[] = {
    {GRPC_CODE_CANCELLED, SOURCE_CONNECTING, false, false},
    {GRPC_CODE_UNKNOWN, SOURCE_CONNECTING, false, false},
    {GRPC_CODE_INVALID_ARGUMENT, SOURCE_CONNECTING, true, false},
    {GRPC_CODE_DEADLINE_EXCEEDED, SOURCE_CONNECTING, false, false},
    {GRPC_CODE_NOT_FOUND, SOURCE_CONNECTING, true, false},
    {GRPC_CODE_ALREADY_EXISTS, SOURCE_CONNECTING, true, false},
    {GRPC_CODE_PERMISSION_DENIED, SOURCE_DENIED, false, true},
    {GRPC_CODE_RESOURCE_EXHAUSTED, SOURCE_CONNECTING, false, false},
    {GRPC_CODE_FAILED_PRECONDITION, SOURCE_CONNECTING, true, false},
    {GRPC_CODE_ABORTED, SOURCE_CONNECTING, false, false},
    {GRPC_CODE_OUT_OF_RANGE, SOURCE_CONNECTING, true, false},
    {GRPC_CODE_UNIMPLEMENTED, SOURCE_CONNECTING, true, false},
    {GRPC_CODE_INTERNAL, SOURCE_CONNECTING, false, false},
    {GRPC_CODE_UNAVAILABLE, SOURCE_CONNECTING, false, false},
    {GRPC_CODE_DATA_LOSS, SOURCE_CONNECTING, false, false},
    {GRPC_CODE_UNAUTHENTICATED, SOURCE_DENIED, false, false},
    {17, SOURCE_CONNECTING, true, false},
    {-1, SOURCE_CONNECTING, true, false},
};

static void every_code(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct istio_ca_verdict verdict = istio_ca_retry_decide(rows[i].code);
        char text[512];
        istio_ca_retry_explain(rows[i].code, "ca:1", "because", text, sizeof(text));
        if (verdict.state != rows[i].state || verdict.is_slow != rows[i].is_slow ||
            verdict.withdraw != rows[i].withdraw || strstr(text, "ca:1") == NULL ||
            strstr(text, "because") == NULL || strstr(text, "retrying") == NULL) {
            fail_msg("code %d: %s", rows[i].code, text);
        }
    }
}

static void sentences_are_cut_to_fit(void **state) {
    (void)state;
    char text[16];
    istio_ca_retry_explain(GRPC_CODE_INTERNAL, "ca:1", "", text, sizeof(text));
    assert_int_equal(strlen(text), sizeof(text) - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code),
        cmocka_unit_test(sentences_are_cut_to_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
