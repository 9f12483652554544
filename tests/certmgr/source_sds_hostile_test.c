// The SDS source against servers that are clumsy, malicious or silent (class 13, class 19).
// Nothing is asserted about time; every wait ends with what is waited for.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/certmgr/sds_bench.h"
#include "tests/certmgr/sds_fixture.h"

static void bad_response_is_refused_and_the_good_one_stays(void **state) {
    struct sds_bench *bench = *state;
    sds_bench_serve(bench);
    sds_bench_fetch(bench);
    sds_bench_push(bench, "1", SDS_BENCH_WEB, true);
    sds_bench_assert_update(bench, SDS_BENCH_WEB);
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(bench->ca, SDS_BENCH_OTHER);
    struct pki_cert *stranger OWNED(pki_free) = pki_leaf(bench->ca, SDS_BENCH_OTHER);
    struct sds_fixture fixture = {0};
    struct buf response = {0};
    sds_fixture_certificate(&fixture, "default", sds_fixture_inline(pki_der(leaf)),
                            sds_fixture_inline(pki_key_der(stranger)));
    sds_fixture_render(&fixture, "2", "bad", &response);
    fake_sds_push(bench->fake, buf_span(&response));
    struct fake_sds_request nack = sds_bench_request_at(bench, 2);
    assert_true(nack.is_refusal);
    assert_string_equal(nack.version, "1");
    assert_string_equal(nack.nonce, "bad");
    assert_non_null(strstr(nack.refusal, "\"default\""));
    sds_bench_assert_report(bench, SOURCE_CONNECTED, "refused a response");
    assert_null(mailbox_take(&bench->probe.sink.updates));
    sds_bench_push(bench, "3", SDS_BENCH_OTHER, false);
    sds_bench_assert_update(bench, SDS_BENCH_OTHER); // with the bundle of version 1
    assert_string_equal(sds_bench_request_at(bench, 3).version, "3");
    sds_bench_assert_report(bench, SOURCE_CONNECTED, "");
    assert_int_equal(fake_sds_num_streams(bench->fake), 1);
    sds_fixture_fini(&fixture);
    buf_fini(&response);
}

static void garbage_is_reported_and_the_stream_kept(void **state) {
    struct sds_bench *bench = *state;
    sds_bench_serve(bench);
    sds_bench_fetch(bench);
    fake_sds_push(bench->fake, span_of_text("\x0a\x7f garbage"));
    sds_bench_assert_report(bench, SOURCE_CONNECTED, "not a valid DiscoveryResponse");
    sds_bench_push(bench, "1", SDS_BENCH_WEB, true);
    sds_bench_assert_update(bench, SDS_BENCH_WEB);
    assert_int_equal(fake_sds_num_streams(bench->fake), 1);
    assert_string_equal(sds_bench_request_at(bench, 1).version,
                        "1"); // garbage has no nonce to answer to
}

static void names_that_never_come_are_reported(void **state) {
    struct sds_bench *bench = *state;
    sds_bench_serve(bench);
    sds_bench_fetch_timed(bench, SDS_BENCH_QUICK);
    sds_bench_assert_report(bench, SOURCE_CONNECTED,
                            "neither the secret \"default\" nor \"ROOTCA\"");
    sds_bench_assert_report(bench, SOURCE_CONNECTING,
                            "sent nothing"); // and another stream is tried
    while (fake_sds_num_streams(bench->fake) < 2) {
        usleep(1000);
    }
    sds_bench_push(bench, "1", SDS_BENCH_WEB, false);
    sds_bench_assert_report(bench, SOURCE_CONNECTED, "not sent the secret \"ROOTCA\"");
    assert_null(mailbox_take(&bench->probe.sink.updates));
    sds_bench_push(bench, "2", NULL, true);
    sds_bench_assert_update(bench, SDS_BENCH_WEB);
}

// A flood, read slowly by nobody: the last one counts, and each stream of it is answered at most
// once for each response.
static void last_of_a_thousand_counts(void **state) {
    struct sds_bench *bench = *state;
    sds_bench_serve(bench);
    sds_bench_fetch(bench);
    struct buf response = {0};
    sds_fixture_usual(&response, "1", bench->ca, SDS_BENCH_WEB, bench->ca);
    for (int i = 0; i < 1000; i++) {
        fake_sds_push(bench->fake, buf_span(&response));
    }
    sds_bench_push(bench, "last", SDS_BENCH_OTHER, true);
    struct update *update OWNED(update_free) = NULL;
    do {
        update_free(update);
        update = sink_probe_update(&bench->probe);
        assert_non_null(update);
    } while (!span_equal_text(update_bytes_span(&update->svids[0].spiffe_id), SDS_BENCH_OTHER));
    size_t index = 0;
    while (strcmp(sds_bench_request_at(bench, index).version, "last") != 0) {
        index++;
    }
    assert_in_range(index, 1, 1001);
    buf_fini(&response);
}

static void refresh_storm_and_any_end_are_survived(void **state) {
    struct sds_bench *bench = *state;
    sds_bench_serve(bench);
    sds_bench_fetch(bench);
    for (int i = 0; i < 100; i++) {
        source_refresh(bench->source);
    }
    for (int i = 0; i < 20; i++) { // ended at any point of its life
        sds_bench_push(bench, "1", SDS_BENCH_WEB, true);
        source_free(take(&bench->source));
        sds_bench_fetch(bench);
        usleep((useconds_t)(i * 300));
        source_refresh(bench->source);
    }
}

static void bad_options_are_refused(void **state) {
    struct sds_bench *bench = *state;
    struct source_sds_options options = {
        .endpoint = "http://localhost", .certificate = "default", .bundle = "ROOTCA"};
    struct err err;
    assert_null(source_sds_new(&options, &bench->probe.sink, &err));
    assert_int_equal(err.class, ERR_INPUT);
    options = (struct source_sds_options){
        .endpoint = bench->endpoint, .certificate = "same", .bundle = "same"};
    assert_null(source_sds_new(&options, &bench->probe.sink, &err));
    assert_non_null(strstr(err.msg, "one secret"));
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, sds_bench_set_up, sds_bench_tear_down)

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        ROW(bad_response_is_refused_and_the_good_one_stays),
        ROW(garbage_is_reported_and_the_stream_kept),
        ROW(names_that_never_come_are_reported),
        ROW(last_of_a_thousand_counts),
        ROW(refresh_storm_and_any_end_are_survived),
        ROW(bad_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
