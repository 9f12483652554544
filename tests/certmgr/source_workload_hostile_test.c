// The source against servers that are clumsy, malicious or silent (class 13, class 19).
// Nothing is asserted about time; every wait ends with what is waited for.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "certmgr/grpc_code.h"
#include "certmgr/workload_codec.h"
#include "tests/certmgr/workload_bench.h"

static void client_bug_codes_end_it_until_refresh(void **state) {
    struct workload_bench *bench = *state;
    struct fake_call invalid = WORKLOAD_BENCH_ENDED(GRPC_CODE_INVALID_ARGUMENT, "header missing");
    struct fake_call unimplemented =
        WORKLOAD_BENCH_ENDED(GRPC_CODE_UNIMPLEMENTED, "unknown method");
    workload_bench_serve(bench, &invalid, 1);
    workload_bench_fetch(bench);
    workload_bench_assert_report(bench, SOURCE_FAILED, "header missing");
    fake_workload_api_script(bench->fake, &unimplemented, 1);
    source_refresh(bench->source);
    workload_bench_assert_report(bench, SOURCE_FAILED, "unknown method");
    assert_int_equal(fake_workload_api_seen(bench->fake).num_calls, 2);
    assert_null(mailbox_take(&bench->probe.sink.updates)); // no withdrawal
    fake_workload_api_script(bench->fake, &bench->held_a, 1);
    source_refresh(bench->source);
    workload_bench_assert_update(bench, "spiffe://td/a");
}

static void garbage_is_reported_and_the_stream_kept(void **state) {
    struct workload_bench *bench = *state;
    struct span messages[] = {span_of_text("\x0a\x7f garbage"), bench->b};
    struct fake_call garbage = {.messages = messages, .num_messages = 1, .hold = true};
    struct fake_call recovers = {.messages = messages, .num_messages = 2, .hold = true};
    workload_bench_serve(bench, &garbage, 1);
    workload_bench_fetch(bench);
    workload_bench_assert_report(bench, SOURCE_CONNECTED, "discarded");
    assert_null(mailbox_take(&bench->probe.sink.updates));
    fake_workload_api_script(bench->fake, &recovers, 1);
    source_refresh(bench->source);
    workload_bench_assert_update(bench, "spiffe://td/b");
    assert_int_equal(fake_workload_api_seen(bench->fake).num_calls, 2);
}

static void empty_response_withdraws(void **state) {
    struct workload_bench *bench = *state;
    struct span nothing = span_of("", 0);
    struct fake_call empty = {.messages = &nothing, .num_messages = 1, .hold = true};
    workload_bench_serve(bench, &empty, 1);
    workload_bench_fetch(bench);
    workload_bench_assert_withdrawn(bench);
    workload_bench_assert_report(bench, SOURCE_DENIED, "without any identity");
}

static void streams_that_end_at_once_are_reopened(void **state) {
    struct workload_bench *bench = *state;
    struct fake_call a = bench->held_a;
    a.hold = false;
    struct fake_call script[] = {WORKLOAD_BENCH_ENDED(GRPC_CODE_OK, ""), a, a,
                                 WORKLOAD_BENCH_ENDED(GRPC_CODE_UNAVAILABLE, "load"),
                                 bench->held_b};
    workload_bench_serve(bench, script, 5);
    workload_bench_fetch(bench);
    struct update *update OWNED(update_free) = NULL;
    do { // updates of the first streams may be overtaken by later ones
        update_free(update);
        update = sink_probe_update(&bench->probe);
        assert_non_null(update);
    } while (!span_equal_text(update_bytes_span(&update->svids[0].spiffe_id), "spiffe://td/b"));
    assert_int_equal(fake_workload_api_seen(bench->fake).num_calls, 5);
}

static void silent_stream_is_given_up(void **state) {
    struct workload_bench *bench = *state;
    struct fake_call silent = {.hold = true};
    workload_bench_serve(bench, &silent, 1);
    workload_bench_fetch_timed(bench, WORKLOAD_BENCH_QUICK);
    workload_bench_assert_report(bench, SOURCE_CONNECTING, "sent nothing");
    fake_workload_api_script(bench->fake, &bench->held_a, 1);
    workload_bench_assert_update(bench, "spiffe://td/a");
}

static void silent_stream_does_not_hold_up_the_end(void **state) {
    struct workload_bench *bench = *state;
    struct fake_call silent = {.hold = true};
    workload_bench_serve(bench, &silent, 1);
    workload_bench_fetch(bench);
    while (fake_workload_api_seen(bench->fake).num_calls == 0) {
        usleep(1000);
    }
    source_free(take(&bench->source));
}

static int listen_at(const char *path) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(fd, 64), 0);
    return fd;
}

static void server_that_never_accepts_is_given_up(void **state) {
    struct workload_bench *bench = *state;
    int fd = listen_at(bench->path);
    workload_bench_fetch_timed(bench, WORKLOAD_BENCH_QUICK);
    workload_bench_assert_report(bench, SOURCE_CONNECTING, "cannot connect");
    close(fd);
}

static void server_that_is_not_http2_is_reported(void **state) {
    struct workload_bench *bench = *state;
    int fd = listen_at(bench->path);
    workload_bench_fetch(bench);
    int peer = accept(fd, NULL, NULL);
    assert_true(peer >= 0);
    assert_true(write(peer, "HTTP/1.1 400 Bad Request\r\n\r\n", 28) == 28);
    workload_bench_assert_report(bench, SOURCE_CONNECTING, "retrying");
    close(peer);
    close(fd);
}

static void large_chain_arrives_and_a_larger_message_is_refused(void **state) {
    struct workload_bench *bench = *state;
    struct buf big = {0};
    workload_bench_response(&big, "spiffe://td/big", 1024 * 1024);
    struct span message = buf_span(&big);
    struct fake_call large = {.messages = &message, .num_messages = 1, .hold = true};
    workload_bench_serve(bench, &large, 1);
    workload_bench_fetch(bench);
    workload_bench_assert_update(bench, "spiffe://td/big");

    size_t len = WORKLOAD_MESSAGE_MAX + 1;
    struct span over = span_of(calloc(1, len), len);
    struct fake_call larger = {.messages = &over, .num_messages = 1, .hold = true};
    fake_workload_api_script(bench->fake, &larger, 1);
    source_refresh(bench->source);
    workload_bench_assert_report(bench, SOURCE_CONNECTING, "RESOURCE_EXHAUSTED");
    fake_workload_api_script(bench->fake, &bench->held_b, 1);
    workload_bench_assert_update(bench, "spiffe://td/b");
    source_free(take(&bench->source));
    fake_workload_api_free(take(&bench->fake));
    free((void *)(uintptr_t)over.ptr);
    buf_fini(&big);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, workload_bench_set_up, workload_bench_tear_down)

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        ROW(client_bug_codes_end_it_until_refresh),
        ROW(garbage_is_reported_and_the_stream_kept),
        ROW(empty_response_withdraws),
        ROW(streams_that_end_at_once_are_reopened),
        ROW(silent_stream_is_given_up),
        ROW(silent_stream_does_not_hold_up_the_end),
        ROW(server_that_never_accepts_is_given_up),
        ROW(server_that_is_not_http2_is_reported),
        ROW(large_chain_arrives_and_a_larger_message_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
