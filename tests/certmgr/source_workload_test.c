// The source against a server that behaves, comes late, goes away and comes back (class 13).
// Nothing is asserted about time; every wait ends with what is waited for.
#include "certmgr/source_workload.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "certmgr/grpc_code.h"
#include "tests/certmgr/workload_bench.h"

static void request_is_as_specified(void **state) {
    struct workload_bench *bench = *state;
    workload_bench_serve(bench, &bench->held_a, 1);
    workload_bench_fetch(bench);
    workload_bench_assert_update(bench, "spiffe://td/a");
    workload_bench_assert_report(bench, SOURCE_CONNECTED, "");
    struct fake_seen seen = fake_workload_api_seen(bench->fake);
    assert_int_equal(seen.num_calls, 1);
    assert_int_equal(seen.num_fetches, 1);
    assert_int_equal(seen.num_marked, 1);
    assert_int_equal(seen.num_localhost, 1);
    assert_string_equal(bench->source->ops->kind, "workloadApi");
}

static void server_that_comes_late_is_found(void **state) {
    struct workload_bench *bench = *state;
    workload_bench_fetch(bench);
    workload_bench_assert_report(bench, SOURCE_CONNECTING, "cannot connect");
    workload_bench_serve(bench, &bench->held_a, 1);
    workload_bench_assert_update(bench, "spiffe://td/a");
    workload_bench_assert_report(bench, SOURCE_CONNECTED, "");
}

static void server_that_dies_is_found_again(void **state) {
    struct workload_bench *bench = *state;
    workload_bench_serve(bench, &bench->held_a, 1);
    workload_bench_fetch(bench);
    workload_bench_assert_update(bench, "spiffe://td/a");
    fake_workload_api_free(take(&bench->fake));
    workload_bench_assert_report(bench, SOURCE_CONNECTING, "retrying");
    assert_null(mailbox_take(&bench->probe.sink.updates)); // an outage is no withdrawal
    workload_bench_serve(bench, &bench->held_b, 1);
    workload_bench_assert_update(bench, "spiffe://td/b");
}

static void permission_denied_withdraws_and_is_retried(void **state) {
    struct workload_bench *bench = *state;
    struct fake_call denied =
        WORKLOAD_BENCH_ENDED(GRPC_CODE_PERMISSION_DENIED, "no identity\nissued");
    workload_bench_serve(bench, &bench->held_a, 1);
    workload_bench_fetch(bench);
    workload_bench_assert_update(bench, "spiffe://td/a");
    fake_workload_api_script(bench->fake, &denied, 1);
    source_refresh(bench->source);
    workload_bench_assert_withdrawn(bench);
    workload_bench_assert_report(bench, SOURCE_DENIED, "no identity?issued");
    fake_workload_api_script(bench->fake, &bench->held_b, 1);
    workload_bench_assert_update(bench, "spiffe://td/b");
    workload_bench_assert_report(bench, SOURCE_CONNECTED, "");
}

static void denied_mid_stream_withdraws(void **state) {
    struct workload_bench *bench = *state;
    struct fake_call script[] = {bench->held_a,
                                 WORKLOAD_BENCH_ENDED(GRPC_CODE_PERMISSION_DENIED, "gone")};
    script[0].hold = false;
    script[0].status = GRPC_CODE_PERMISSION_DENIED;
    workload_bench_serve(bench, script, 2);
    workload_bench_fetch(bench);
    workload_bench_assert_report(bench, SOURCE_DENIED, "PERMISSION_DENIED");
    workload_bench_assert_withdrawn(bench);
}

static void refresh_fetches_anew(void **state) {
    struct workload_bench *bench = *state;
    struct fake_call script[] = {bench->held_a, bench->held_b};
    workload_bench_serve(bench, script, 2);
    workload_bench_fetch(bench);
    workload_bench_assert_update(bench, "spiffe://td/a");
    source_refresh(bench->source);
    workload_bench_assert_update(bench, "spiffe://td/b");
    assert_int_equal(fake_workload_api_seen(bench->fake).num_calls, 2);
}

static void refresh_storm_is_survived(void **state) {
    struct workload_bench *bench = *state;
    workload_bench_serve(bench, &bench->held_a, 1);
    workload_bench_fetch(bench);
    for (int i = 0; i < 200; i++) {
        source_refresh(bench->source);
    }
    workload_bench_assert_update(bench, "spiffe://td/a");
    for (int i = 0; i < 20; i++) { // ended at any point of its life
        source_free(take(&bench->source));
        workload_bench_fetch(bench);
        usleep((useconds_t)(i * 200));
        source_refresh(bench->source);
    }
}

static void fetch_over_tcp(struct workload_bench *bench, const char *address,
                           const char *endpoint_format) {
    bench->fake = fake_workload_api_new(address, &bench->held_a, 1);
    if (bench->fake == NULL && address[0] == '[') {
        skip(); // a machine without IPv6
    }
    assert_non_null(bench->fake);
    // A proxy of the environment is not for us.
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    snprintf(bench->endpoint, sizeof(bench->endpoint), endpoint_format,
             fake_workload_api_port(bench->fake));
    workload_bench_fetch(bench);
    workload_bench_assert_update(bench, "spiffe://td/a");
    unsetenv("http_proxy");
    assert_int_equal(fake_workload_api_seen(bench->fake).num_localhost, 1);
}

static void tcp_endpoint_works_over_ipv4(void **state) {
    fetch_over_tcp(*state, "127.0.0.1:0", "tcp://127.0.0.1:%d");
}

static void tcp_endpoint_works_over_ipv6(void **state) {
    fetch_over_tcp(*state, "[::1]:0", "tcp://[::1]:%d");
}

static void bad_endpoint_is_refused(void **state) {
    struct workload_bench *bench = *state;
    struct err err;
    assert_null(source_workload_new("http://localhost", &bench->probe.sink, &err));
    assert_int_equal(err.class, ERR_INPUT);
    assert_non_null(strstr(err.msg, "http://localhost"));
}

#define NUM_ROUNDS 20u

static unsigned num_fds(void) {
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    unsigned num = 0;
    while (readdir(dir) != NULL) {
        num++;
    }
    closedir(dir);
    return num;
}

static void descriptors_are_given_back(void **state) {
    struct workload_bench *bench = *state;
    unsigned before = num_fds();
    for (unsigned i = 0; i < NUM_ROUNDS; i++) {
        workload_bench_serve(bench, &bench->held_a, 1);
        workload_bench_fetch(bench);
        workload_bench_assert_update(bench, "spiffe://td/a");
        source_refresh(bench->source);
        workload_bench_assert_update(bench, "spiffe://td/a");
        source_free(take(&bench->source));
        fake_workload_api_free(take(&bench->fake));
    }
    // gRPC keeps a few of its own as it likes; one for each round would be ours.
    assert_in_range(num_fds(), 0, before + NUM_ROUNDS / 2);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, workload_bench_set_up, workload_bench_tear_down)

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        ROW(request_is_as_specified),         ROW(server_that_comes_late_is_found),
        ROW(server_that_dies_is_found_again), ROW(permission_denied_withdraws_and_is_retried),
        ROW(denied_mid_stream_withdraws),     ROW(refresh_fetches_anew),
        ROW(refresh_storm_is_survived),       ROW(tcp_endpoint_works_over_ipv4),
        ROW(tcp_endpoint_works_over_ipv6),    ROW(bad_endpoint_is_refused),
        ROW(descriptors_are_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
