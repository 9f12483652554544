// The source against a CA that is clumsy or malicious: nothing of it is delivered, the sentence
// says what was wrong, and the next good answer is taken.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/certmgr/ca_bench.h"

static const struct lie {
    enum ca_answer answer;
    const char *says; // a part of the sentence
} lies[] = {
    {CA_EMPTY_CHAIN, "cert_chain has 0 entries"},
    {CA_ONE_ELEMENT, "cert_chain has 1 entries"},
    {CA_WRONG_KEY, "key"},
    {CA_OTHER_ID, "spiffe://td/other"},
    {CA_NO_ID, "not a SPIFFE ID"},
    {CA_EXPIRED, "expired"},
    {CA_OTHER_ROOT, "discarded"},
    {CA_GARBAGE, "not a valid IstioCertificateResponse"},
    {CA_NOT_PEM, "entry 1 of cert_chain"},
    {CA_HUGE, "RESOURCE_EXHAUSTED"},
    {CA_MANY_PARTS, "cert_chain has 1000 entries"},
    {CA_UNAVAILABLE, "UNAVAILABLE"},
    {CA_UNIMPLEMENTED, "check that identity.istioCa.address is an Istio CA"},
};

static void every_lie_is_named_and_survived(void **state) {
    struct ca_bench *bench = *state;
    bench->options.spiffe_id = FAKE_CA_ID;
    ca_bench_fetch(bench);
    ca_bench_assert_update(bench);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        atomic_store(&bench->answer, lies[i].answer);
        source_refresh(bench->source);
        ca_bench_assert_report(bench, SOURCE_CONNECTING, lies[i].says);
        assert_null(mailbox_take(&bench->probe.sink.updates));
        atomic_store(&bench->answer, CA_GOOD);
        source_refresh(bench->source);
        ca_bench_assert_update(bench);
        ca_bench_assert_report(bench, SOURCE_CONNECTED, "");
    }
}

static void token_is_in_no_report(void **state) {
    struct ca_bench *bench = *state;
    atomic_store(&bench->answer, CA_UNAUTHENTICATED);
    ca_bench_fetch(bench);
    ca_bench_assert_report(bench, SOURCE_DENIED, "UNAUTHENTICATED");
    ca_bench_write(bench->token_path, "a token\nwith more lines than one");
    source_refresh(bench->source);
    struct source_report *report = NULL;
    do {
        free(report);
        ca_bench_assert_report(bench, SOURCE_CONNECTING, "does not hold one token");
        report = mailbox_take(&bench->probe.sink.reports);
        assert_true(report == NULL || strstr(report->last_error, "lines") == NULL);
    } while (report != NULL);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, ca_bench_set_up, ca_bench_tear_down)

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        ROW(every_lie_is_named_and_survived),
        ROW(token_is_in_no_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
