// A client session against hand-made frames; writing, refusals and reentrancy.
#include "tests/tunnel/h2_raw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_first_frames(void **state) {
    (void)state;
    struct end *end = end_new(false);
    struct raw_frame frame;
    struct flow *flow = end_open(end, "192.0.2.1:80");
    assert_int_equal(flow_write_some(flow, 100), 100);
    struct span wire = buf_span(&end->wire);
    assert_memory_equal(wire.ptr, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    assert_true(raw_take(end, RAW_SETTINGS, 0, &frame));
    static const uint8_t EXPECTED[] = {
        0, 4, 0, 0x10, 0,    0, // INITIAL_WINDOW_SIZE
        0, 6, 0, 0,    0x40, 0, // MAX_HEADER_LIST_SIZE
        0, 2, 0, 0,    0,    0, // ENABLE_PUSH
    };
    assert_int_equal(frame.payload.len, sizeof(EXPECTED));
    assert_memory_equal(frame.payload.ptr, EXPECTED, sizeof(EXPECTED));
    assert_true(raw_take(end, RAW_HEADERS, 1, &frame));
    size_t first = frame.payload.len;
    // The payload follows the request at once.
    assert_ptr_equal(wire.ptr + wire.len - 109, frame.payload.ptr + first);
    assert_true(raw_take(end, RAW_DATA, 1, &frame));
    assert_int_equal(frame.payload.len, 100);
    assert_int_equal(frame.flags, 0);
    // In the second request the table knows the authority, and `forwarded` is as long as before.
    (void)end_open(end, "192.0.2.1:80");
    assert_true(h2_session_send(end->session));
    assert_true(raw_take(end, RAW_HEADERS, 3, &frame));
    assert_true(frame.payload.len < first);
    assert_true(frame.payload.len > sizeof("for=192.0.2.9:1234") * 6 / 8);
    end_free(end);
}

static void test_refused_data_commits_to_nothing(void **state) {
    (void)state;
    struct end *end = raw_client_new(RAW_INITIAL_WINDOW_SIZE, 1000000);
    struct raw_frame frame;
    struct buf in = {0};
    struct flow *flow = raw_open_answered(end, 1);
    struct flow *other = raw_open_answered(end, 3);
    end->refuse_percent = 100;
    assert_int_equal(flow_write_some(flow, 1000), 0);
    assert_int_equal(flow_write_some(other, 7), 0);
    // Other frames go on past the refused one.
    raw_add(&in, &(struct raw_frame){.type = RAW_PING, .payload = span_of("12345678", 8)});
    assert_true(raw_give(end, &in));
    assert_true(raw_take(end, RAW_PING, 0, &frame));
    assert_true(h2_session_send(end->session));
    assert_false(raw_take(end, RAW_DATA, 1, &frame));
    end->refuse_percent = 0;
    assert_true(h2_session_send(end->session)); // nothing was kept of the refused bytes
    assert_false(raw_take(end, RAW_DATA, 1, &frame));
    assert_int_equal(flow_write_some(flow, 30), 30);  // less than before
    assert_int_equal(flow_write_some(other, 70), 70); // more than before
    assert_true(raw_take(end, RAW_DATA, 1, &frame));
    assert_int_equal(frame.payload.len, 30);
    assert_true(raw_take(end, RAW_DATA, 3, &frame));
    assert_int_equal(frame.payload.len, 70);

    end->refuse_percent = 100;
    assert_int_equal(flow_write_some(flow, 1000), 0);
    h2_stream_end(flow->stream); // none at all
    assert_true(h2_session_send(end->session));
    assert_false(raw_take(end, RAW_DATA, 1, &frame));
    assert_true(h2_session_wants_send(end->session));
    end->refuse_percent = 0;
    assert_true(h2_session_send(end->session));
    assert_true(raw_take(end, RAW_DATA, 1, &frame));
    assert_int_equal(frame.payload.len, 0);
    assert_int_equal(frame.flags, RAW_END_STREAM);
    assert_false(h2_session_wants_send(end->session));
    assert_true(h2_session_send(end->session));
    assert_false(raw_take(end, RAW_DATA, 1, &frame)); // once
    end_free(end);
}

static void test_refused_control_breaks_the_session(void **state) {
    (void)state;
    struct end *end = raw_client_new(RAW_INITIAL_WINDOW_SIZE, 10);
    (void)end_open(end, "192.0.2.1:80");
    end->refuse_control = true;
    assert_false(h2_session_send(end->session));
    assert_false(h2_session_wants_send(end->session));
    assert_true(strlen(h2_session_error(end->session)) > 0);
    end_free(end);
}

static void test_max_concurrent_streams(void **state) {
    (void)state;
    struct end *end = raw_client_new(RAW_MAX_CONCURRENT_STREAMS, 2);
    struct raw_frame frame;
    struct buf in = {0};
    struct flow *first = raw_open_answered(end, 1);
    assert_true(h2_session_has_room(end->session));
    (void)end_open(end, "192.0.2.1:80");
    assert_false(h2_session_has_room(end->session));
    struct flow *third = end_open(end, "192.0.2.1:80"); // it waits
    assert_int_equal(flow_write_some(third, 10), 0);
    assert_int_equal(h2_stream_window(third->stream), 0);
    assert_false(raw_take(end, RAW_HEADERS, 5, &frame));
    h2_stream_reset(first->stream, H2_CANCEL);
    first->stream = NULL;
    assert_true(h2_session_send(end->session));
    assert_true(raw_take(end, RAW_HEADERS, 5, &frame));
    assert_int_equal(third->num_writable, 1);
    assert_int_equal(flow_write_some(third, 10), 10);
    assert_false(h2_session_has_room(end->session));
    raw_add_u32(&in, RAW_RST, 5, H2_REFUSED_STREAM);
    assert_true(raw_give(end, &in));
    assert_int_equal(third->num_closed, 1);
    assert_true(h2_session_has_room(end->session));
    end_free(end);
}

static void test_informational_responses_are_ignored(void **state) {
    (void)state;
    struct end *end = raw_client_new(RAW_INITIAL_WINDOW_SIZE, 10);
    struct buf in = {0};
    struct flow *flow = end_open(end, "192.0.2.1:80");
    assert_true(h2_session_send(end->session));
    raw_status(&in, 1, "100", false);
    raw_status(&in, 1, "103", false);
    assert_true(raw_give(end, &in));
    assert_int_equal(flow->status, 0);
    raw_status(&in, 1, "200", false);
    assert_true(raw_give(end, &in));
    assert_int_equal(flow->status, 200);
    end_free(end);
}

static void test_data_before_the_status(void **state) {
    (void)state;
    struct end *end = raw_client_new(RAW_INITIAL_WINDOW_SIZE, 10);
    struct buf in = {0};
    struct flow *flow = end_open(end, "192.0.2.1:80");
    assert_true(h2_session_send(end->session));
    raw_add(&in, &(struct raw_frame){.type = RAW_DATA, .id = 1, .payload = span_of("x", 1)});
    assert_false(raw_give(end, &in));
    assert_int_equal(flow->received, 0);
    end_free(end);
}

static void test_goaway_refuses_what_waits(void **state) {
    (void)state;
    struct end *end = raw_client_new(RAW_MAX_CONCURRENT_STREAMS, 1);
    struct buf in = {0};
    struct flow *flow = raw_open_answered(end, 1);
    struct flow *waits = end_open(end, "192.0.2.1:80");
    assert_true(h2_session_send(end->session));
    uint8_t payload[8] = {0, 0, 0, 1, 0, 0, 0, 0};
    raw_add(&in, &(struct raw_frame){.type = RAW_GOAWAY, .payload = span_of(payload, 8)});
    assert_true(raw_give(end, &in));
    assert_int_equal(waits->num_closed, 1);
    assert_int_equal(waits->error, H2_REFUSED_STREAM);
    assert_int_equal(flow->num_closed, 0);
    assert_int_equal(h2_session_num_streams(end->session), 1);
    raw_add(&in, &(struct raw_frame){.type = RAW_DATA, .flags = RAW_END_STREAM, .id = 1});
    assert_true(raw_give(end, &in));
    h2_stream_end(flow->stream);
    assert_true(h2_session_send(end->session));
    assert_true(flow->clean);
    assert_int_equal(h2_session_num_streams(end->session), 0);
    end_free(end);
}

static void test_only_our_ping_is_answered(void **state) {
    (void)state;
    struct end *end = raw_client_new(RAW_INITIAL_WINDOW_SIZE, 10);
    struct raw_frame frame;
    struct buf in = {0};
    struct raw_frame pong = {.type = RAW_PING, .flags = RAW_ACK};
    pong.payload = span_of("12345678", 8);
    raw_add(&in, &pong);
    assert_true(raw_give(end, &in));
    assert_int_equal(end->num_pong, 0);
    h2_session_ping(end->session);
    assert_true(h2_session_wants_send(end->session));
    assert_true(h2_session_send(end->session));
    raw_add(&in, &pong);
    assert_true(raw_give(end, &in));
    assert_int_equal(end->num_pong, 0);
    assert_true(raw_take(end, RAW_PING, 0, &frame));
    pong.payload = frame.payload;
    raw_add(&in, &pong);
    raw_add(&in, &pong);
    assert_true(raw_give(end, &in));
    assert_int_equal(end->num_pong, 1);
    end_free(end);
}

// ---- reentrancy -------------------------------------------------------------------------------

static struct flow *neighbour(struct flow *flow) {
    return flow == &flow->end->flows[0] ? &flow->end->flows[1] : &flow->end->flows[0];
}

static void reset(struct flow *flow) {
    if (flow->stream != NULL) {
        h2_stream_reset(flow->stream, H2_CANCEL);
        flow->stream = NULL;
    }
}

// Each event writes, sends and destroys: the neighbour whose bytes may be next, or itself.
static void meddle(struct flow *flow, char event) {
    struct flow *victim = pair_random(2) == 0 ? flow : neighbour(flow);
    if (event != 'c' && flow->stream != NULL) {
        (void)flow_write_some(flow, 100);
    }
    if (event == 'd' || pair_random(4) == 0) {
        reset(victim);
    }
    (void)h2_session_send(flow->end->session);
}

static void answer_and_end(struct end *end, struct flow *flow) {
    assert_true(h2_stream_respond(flow->stream, 200));
    (void)flow_write_some(flow, 50000);
    h2_stream_end(flow->stream);
    assert_true(h2_session_send(end->session));
}

static void test_callbacks_may_do_anything(void **state) {
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct pair *pair = pair_new();
        pair->server.answer = 0;
        pair->server.on_request = answer_and_end;
        pair->client.on_flow = meddle;
        pair_open(pair, 200000, false);
        pair_open(pair, 200000, false);
        assert_true(pair_run(pair));
        reset(&pair->client.flows[0]);
        reset(&pair->client.flows[1]);
        assert_true(pair_run(pair));
        assert_int_equal(h2_session_num_streams(pair->client.session), 0);
        assert_int_equal(h2_session_num_streams(pair->server.session), 0);
        pair_free(pair);
    }
}

static void test_streams_without_argument(void **state) {
    (void)state;
    struct pair *pair = pair_new();
    struct flow *flow = pair_open(pair, 0, false);
    assert_true(pair_run(pair));
    h2_stream_set_arg(flow->stream, NULL);
    pair->server.flows[0].to_send = 3000;
    pair->server.flows[0].ends_after = true;
    h2_stream_end(flow->stream);
    flow->stream = NULL;
    assert_true(pair_run(pair));
    assert_int_equal(flow->received + (size_t)flow->num_ends + (size_t)flow->num_closed, 0);
    assert_int_equal(h2_session_num_streams(pair->client.session), 0);
    assert_true(pair->server.flows[0].clean);
    pair_free(pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_frames),
        cmocka_unit_test(test_refused_data_commits_to_nothing),
        cmocka_unit_test(test_refused_control_breaks_the_session),
        cmocka_unit_test(test_max_concurrent_streams),
        cmocka_unit_test(test_informational_responses_are_ignored),
        cmocka_unit_test(test_data_before_the_status),
        cmocka_unit_test(test_goaway_refuses_what_waits),
        cmocka_unit_test(test_only_our_ping_is_answered),
        cmocka_unit_test(test_callbacks_may_do_anything),
        cmocka_unit_test(test_streams_without_argument),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
