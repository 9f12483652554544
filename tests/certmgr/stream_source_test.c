// The part that stream sources share, with a protocol of its own. Nothing is asserted about time.
#include "certmgr/stream_source.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "certmgr/grpc_code.h"
#include "tests/testing/fake_sds.h"
#include "tests/testing/sink_probe.h"

#define ANSWER "\x2a\x03" // a DiscoveryRequest with a nonce of 3 bytes, which follow

struct protocol { // what the callbacks have seen; lives in the test
    atomic_uint num_begun;
    atomic_uint num_messages;
    atomic_uint num_quiet;
    atomic_uint num_withdrawn;
    atomic_uint num_freed;
    int64_t patience_ms;
    bool begin_fails;
};

struct bench {
    char folder[64];
    char path[96];
    char address[112];
    char endpoint[112];
    struct sink_probe probe;
    struct protocol protocol;
    struct fake_sds *fake;
    struct source *source;
};

static bool begin(void *arg, struct stream_source *source, struct buf *request UNUSED,
                  struct err *err) {
    struct protocol *protocol = arg;
    protocol->num_begun++;
    assert_true(strncmp(stream_source_endpoint(source), "unix:///", 8) == 0);
    return !protocol->begin_fails || ERR_SET(err, ERR_ENVIRONMENT, "no beginning");
}

// Answers with the message itself.
static bool message(void *arg, struct stream_source *source, struct span message,
                    struct buf *answer) {
    struct protocol *protocol = arg;
    protocol->num_messages++;
    struct update *update = update_new(1, 0, 0);
    assert_non_null(update);
    assert_true(update_bytes_set(&update->svids[0].spiffe_id, message));
    stream_source_update(source, update);
    stream_source_report(source, SOURCE_CONNECTED, "good");
    return buf_append(answer, ANSWER, 2) && buf_append(answer, message.ptr, message.len);
}

static int64_t patience_ms(void *arg) {
    const struct protocol *protocol = arg;
    return protocol->patience_ms;
}

static bool quiet(void *arg, struct stream_source *source) {
    struct protocol *protocol = arg;
    stream_source_report(source, SOURCE_CONNECTED, "quiet");
    return ++protocol->num_quiet % 3 != 0;
}

static void withdrawn(void *arg) {
    struct protocol *protocol = arg;
    protocol->num_withdrawn++;
}

static void protocol_free(void *arg) {
    struct protocol *protocol = arg;
    protocol->num_freed++;
}

static const struct stream_protocol PROTOCOL = {
    .kind = "test",
    .method = "/test.Service/Method",
    .message_max = 1024,
    .service = WORKLOAD_SERVICE_SDS,
    .is_bidi = true,
    .begin = begin,
    .message = message,
    .patience_ms = patience_ms,
    .quiet = quiet,
    .withdrawn = withdrawn,
    .free = protocol_free,
};

static int set_up(void **state) {
    struct bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    snprintf(bench->folder, sizeof(bench->folder), "/tmp/pavise-stream-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    snprintf(bench->path, sizeof(bench->path), "%s/s", bench->folder);
    snprintf(bench->address, sizeof(bench->address), "unix:%s", bench->path);
    snprintf(bench->endpoint, sizeof(bench->endpoint), "unix://%s", bench->path);
    bench->protocol.patience_ms = -1;
    sink_probe_init(&bench->probe);
    bench->fake = fake_sds_new(bench->address);
    assert_non_null(bench->fake);
    *state = bench;
    return 0;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    source_free(take(&bench->source));
    assert_int_equal(bench->protocol.num_freed, 1);
    fake_sds_free(bench->fake);
    sink_probe_fini(&bench->probe);
    unlink(bench->path);
    rmdir(bench->folder);
    free(bench);
    return 0;
}

static struct source *start(struct bench *bench, const char *endpoint, struct err *err) {
    struct stream_source_options options = {.protocol = &PROTOCOL,
                                            .arg = &bench->protocol,
                                            .endpoint = endpoint,
                                            .sink = &bench->probe.sink,
                                            .connect_ms = 1000};
    return stream_source_new(&options, err);
}

static void fetch(struct bench *bench) {
    struct err err;
    bench->source = start(bench, bench->endpoint, &err);
    assert_non_null(bench->source);
    assert_string_equal(bench->source->ops->kind, "test");
}

static void assert_update(struct bench *bench, const char *content) {
    struct update *update OWNED(update_free) = sink_probe_update(&bench->probe);
    assert_non_null(update);
    assert_true(span_equal_text(update_bytes_span(&update->svids[0].spiffe_id), content));
}

static void messages_are_answered_in_order(void **state) {
    struct bench *bench = *state;
    static const char *const TEXTS[] = {"one", "two", "six"};
    fetch(bench);
    for (size_t i = 0; i < 3; i++) {
        struct fake_sds_request answer;
        fake_sds_push(bench->fake, span_of_text(TEXTS[i]));
        assert_update(bench, TEXTS[i]);
        assert_true(fake_sds_request(bench->fake, i + 1, &answer));
        assert_string_equal(answer.nonce, TEXTS[i]);
        assert_int_equal(answer.stream, 1);
    }
}

static void silence_is_the_protocols_business(void **state) {
    struct bench *bench = *state;
    bench->protocol.patience_ms = 20;
    fetch(bench);
    assert_true(sink_probe_report(&bench->probe, SOURCE_CONNECTED, "quiet"));
    assert_true(sink_probe_report(&bench->probe, SOURCE_CONNECTING, "DEADLINE_EXCEEDED"));
    assert_int_equal(bench->protocol.num_quiet, 3);
    assert_int_equal(bench->protocol.num_begun, 1);
    assert_true(sink_probe_report(&bench->probe, SOURCE_CONNECTED, "quiet")); // another stream
}

static void denial_withdraws_once(void **state) {
    struct bench *bench = *state;
    fake_sds_refuse(bench->fake, GRPC_CODE_PERMISSION_DENIED, "no");
    fetch(bench);
    struct update *update OWNED(update_free) = sink_probe_update(&bench->probe);
    assert_true(update != NULL && update->withdrawn);
    while (fake_sds_num_streams(bench->fake) < 3) {
        assert_true(sink_probe_report(&bench->probe, SOURCE_DENIED, "PERMISSION_DENIED"));
    }
    assert_null(mailbox_take(&bench->probe.sink.updates));
    assert_in_range(bench->protocol.num_withdrawn, 1, 3);
    fake_sds_refuse(bench->fake, -1, NULL);
    fake_sds_push(bench->fake, span_of_text("one"));
    assert_update(bench, "one");
}

static void beginning_that_fails_is_reported(void **state) {
    struct bench *bench = *state;
    bench->protocol.begin_fails = true;
    fetch(bench);
    assert_true(sink_probe_report(&bench->probe, SOURCE_CONNECTING, "no beginning"));
    assert_int_equal(fake_sds_num_streams(bench->fake), 0);
}

static void bad_endpoint_frees_the_protocol(void **state) {
    struct bench *bench = *state;
    struct err err;
    assert_null(start(bench, "unix:relative", &err));
    assert_non_null(strstr(err.msg, "unix:relative"));
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        ROW(messages_are_answered_in_order),  ROW(silence_is_the_protocols_business),
        ROW(denial_withdraws_once),           ROW(beginning_that_fails_is_reported),
        ROW(bad_endpoint_frees_the_protocol),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
