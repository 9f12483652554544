#include "certmgr/grpc_stream.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "certmgr/grpc_code.h"
#include "tests/testing/fake_workload_api.h"

struct bench {
    char folder[64];
    char path[80];
    char target[96];
};

static int set_up(void **state) {
    struct bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    snprintf(bench->folder, sizeof(bench->folder), "/tmp/pavise-stream-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    snprintf(bench->path, sizeof(bench->path), "%s/s", bench->folder);
    snprintf(bench->target, sizeof(bench->target), "unix:%s", bench->path);
    grpc_stream_library_init();
    *state = bench;
    return 0;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    grpc_stream_library_fini();
    unlink(bench->path);
    rmdir(bench->folder);
    free(bench);
    return 0;
}

static struct grpc_stream *open_stream(const struct bench *bench) {
    struct grpc_stream_options options = {
        .target = bench->target,
        .method = "/SpiffeWorkloadAPI/FetchX509SVID",
        .metadata_key = "workload.spiffe.io",
        .metadata_value = "true",
        .message_max = 16,
        .connect_ms = 1000,
    };
    struct err err;
    struct grpc_stream *stream = grpc_stream_open(&options, span_of("", 0), &err);
    assert_non_null(stream);
    return stream;
}

static struct grpc_stream_end await_end(struct grpc_stream *stream) {
    struct buf message = {0};
    while (grpc_stream_next(stream, -1, &message) != GRPC_STREAM_ENDED) {
        buf_clear(&message);
    }
    return grpc_stream_end(stream);
}

static void absent_server_is_not_reached(void **state) {
    struct grpc_stream *stream OWNED(grpc_stream_free) = open_stream(*state);
    struct grpc_stream_end end = await_end(stream);
    assert_int_equal(end.code, GRPC_CODE_UNAVAILABLE);
    assert_false(end.reached);
    assert_true(strlen(end.details) > 0);
}

static void server_that_refuses_is_reached(void **state) {
    struct bench *bench = *state;
    static const int CODES[] = {GRPC_CODE_OK, GRPC_CODE_PERMISSION_DENIED, GRPC_CODE_UNAVAILABLE};
    for (size_t i = 0; i < sizeof(CODES) / sizeof(CODES[0]); i++) {
        struct fake_call call = {.status = CODES[i], .details = "a\x01\xff z"};
        struct fake_workload_api *fake OWNED(fake_workload_api_free) =
            fake_workload_api_new(bench->target, &call, 1);
        assert_non_null(fake);
        struct grpc_stream *stream OWNED(grpc_stream_free) = open_stream(bench);
        struct grpc_stream_end end = await_end(stream);
        assert_int_equal(end.code, CODES[i]);
        assert_true(end.reached);
        assert_string_equal(end.details, "a?? z");
    }
}

static void messages_come_in_order_then_the_end(void **state) {
    struct bench *bench = *state;
    struct span messages[] = {span_of_text("one"), span_of_text(""), span_of_text("three")};
    struct fake_call call = {.messages = messages, .num_messages = 3};
    struct fake_workload_api *fake OWNED(fake_workload_api_free) =
        fake_workload_api_new(bench->target, &call, 1);
    assert_non_null(fake);
    struct grpc_stream *stream OWNED(grpc_stream_free) = open_stream(bench);
    for (size_t i = 0; i < 3; i++) {
        struct buf message = {0};
        assert_int_equal(grpc_stream_next(stream, -1, &message), GRPC_STREAM_MESSAGE);
        assert_true(span_equal(buf_span(&message), messages[i]));
        buf_fini(&message);
    }
    assert_int_equal(await_end(stream).code, GRPC_CODE_OK);
}

static void longer_message_ends_the_stream(void **state) {
    struct bench *bench = *state;
    struct span messages[] = {span_of_text("sixteen bytes ok"), span_of_text("seventeen is more")};
    struct fake_call call = {.messages = messages, .num_messages = 2, .hold = true};
    struct fake_workload_api *fake OWNED(fake_workload_api_free) =
        fake_workload_api_new(bench->target, &call, 1);
    assert_non_null(fake);
    struct grpc_stream *stream OWNED(grpc_stream_free) = open_stream(bench);
    struct buf message = {0};
    assert_int_equal(grpc_stream_next(stream, -1, &message), GRPC_STREAM_MESSAGE);
    assert_int_equal(buf_span(&message).len, 16);
    buf_fini(&message);
    assert_int_equal(await_end(stream).code, GRPC_CODE_RESOURCE_EXHAUSTED);
}

static void *cancel(void *arg) {
    grpc_stream_cancel(arg);
    return NULL;
}

static void silence_times_out_and_any_thread_cancels(void **state) {
    struct bench *bench = *state;
    struct fake_call call = {.hold = true};
    struct fake_workload_api *fake OWNED(fake_workload_api_free) =
        fake_workload_api_new(bench->target, &call, 1);
    assert_non_null(fake);
    struct grpc_stream *stream OWNED(grpc_stream_free) = open_stream(bench);
    struct buf message = {0};
    assert_int_equal(grpc_stream_next(stream, 10, &message), GRPC_STREAM_TIMEOUT);
    assert_int_equal(grpc_stream_next(stream, 0, &message), GRPC_STREAM_TIMEOUT);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel, stream), 0);
    assert_int_equal(await_end(stream).code, GRPC_CODE_CANCELLED);
    pthread_join(thread, NULL);
}

static void unread_messages_do_not_keep_it_from_ending(void **state) {
    struct bench *bench = *state;
    struct span messages[] = {span_of_text("one"), span_of_text("two"), span_of_text("three")};
    struct fake_call call = {.messages = messages, .num_messages = 3, .hold = true};
    struct fake_workload_api *fake OWNED(fake_workload_api_free) =
        fake_workload_api_new(bench->target, &call, 1);
    assert_non_null(fake);
    struct grpc_stream *stream OWNED(grpc_stream_free) = open_stream(bench);
    struct buf message = {0};
    assert_int_equal(grpc_stream_next(stream, -1, &message), GRPC_STREAM_MESSAGE);
    buf_fini(&message);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        ROW(absent_server_is_not_reached),
        ROW(server_that_refuses_is_reached),
        ROW(messages_come_in_order_then_the_end),
        ROW(longer_message_ends_the_stream),
        ROW(silence_times_out_and_any_thread_cancels),
        ROW(unread_messages_do_not_keep_it_from_ending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
