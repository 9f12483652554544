// Windows of a client session: how much may be written, and who is woken when there is more room.
#include "tests/tunnel/h2_raw.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_small_windows(void **state) {
    (void)state;
    struct end *end = raw_client_new(RAW_INITIAL_WINDOW_SIZE, 10);
    struct raw_frame frame;
    struct buf in = {0};
    struct flow *flow = raw_open_answered(end, 1);
    assert_int_equal(h2_stream_window(flow->stream), 10);
    assert_int_equal(h2_stream_room(flow->stream), 10);
    assert_int_equal(flow_write_some(flow, 25), 10);
    assert_int_equal(h2_stream_window(flow->stream), 0);
    assert_int_equal(h2_stream_room(flow->stream), 0);
    assert_int_equal(flow_write_some(flow, 25), 0);
    assert_int_equal(flow->num_writable, 0);
    raw_add_u32(&in, RAW_WINDOW, 1, 5);
    assert_true(raw_give(end, &in));
    assert_int_equal(flow->num_writable, 1);
    assert_int_equal(h2_stream_room(flow->stream), 5);
    assert_int_equal(flow_write_some(flow, 25), 5);
    raw_setting(&in, RAW_INITIAL_WINDOW_SIZE, 12);
    assert_true(raw_give(end, &in));
    assert_int_equal(flow->num_writable, 2);
    assert_int_equal(flow_write_some(flow, 25), 2);
    raw_setting(&in, RAW_INITIAL_WINDOW_SIZE, 2); // the window becomes negative
    assert_true(raw_give(end, &in));
    raw_add_u32(&in, RAW_WINDOW, 1, 9);
    assert_true(raw_give(end, &in));
    assert_int_equal(flow->num_writable, 2);
    raw_add_u32(&in, RAW_WINDOW, 1, 4);
    assert_true(raw_give(end, &in));
    assert_int_equal(flow->num_writable, 3);
    assert_int_equal(flow_write_some(flow, 25), 3);
    while (raw_take(end, RAW_DATA, 1, &frame)) {
        assert_true(frame.payload.len <= 10);
    }
    assert_int_equal(end->data_emitted, 20);
    end_free(end);
}

static void test_connection_window_is_shared(void **state) {
    (void)state;
    struct end *end = raw_client_new(RAW_INITIAL_WINDOW_SIZE, 1000000);
    struct buf in = {0};
    struct flow *flows[3];
    for (uint32_t i = 0; i < 3; i++) {
        flows[i] = raw_open_answered(end, 2 * i + 1);
    }
    assert_int_equal(flow_write_some(flows[0], 100000), 65535);
    assert_int_equal(h2_stream_window(flows[2]->stream), 0);
    raw_add_u32(&in, RAW_WINDOW, 0, 100);
    assert_true(raw_give(end, &in));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(flows[i]->num_writable, 1);
    }
    h2_stream_end(flows[1]->stream);
    assert_int_equal(flow_write_some(flows[2], 1000), 100);
    end_free(end);
}

static void take_turn(struct flow *flow, char event) {
    if (event == 'w') {
        flow_write(flow);
    }
}

// Each update lets one stream go on: all must get their turn.
static void test_connection_window_is_fair(void **state) {
    (void)state;
    struct end *end = raw_client_new(RAW_INITIAL_WINDOW_SIZE, 1000000);
    struct buf in = {0};
    struct flow *flows[4];
    for (uint32_t i = 0; i < 4; i++) {
        flows[i] = raw_open_answered(end, 2 * i + 1);
        flows[i]->to_send = 500000;
    }
    (void)flow_write_some(flows[0], 65535);
    end->on_flow = take_turn;
    for (int i = 0; i < 40; i++) {
        raw_add_u32(&in, RAW_WINDOW, 0, 1000);
        assert_true(raw_give(end, &in));
    }
    assert_int_equal(end->data_emitted, 65535 + 40 * 1000);
    for (int i = 1; i < 4; i++) {
        assert_true(flows[i]->sent >= 5000);
    }
    end_free(end);
}

// Whoever is told that there is no room waits to be woken: also a stream that waits to be opened
// while the connection's window is used up, and gets room before it is.
static void test_no_room_is_always_followed_by_some(void **state) {
    (void)state;
    struct end *end = raw_client_new(RAW_MAX_CONCURRENT_STREAMS, 1);
    struct buf in = {0};
    raw_setting(&in, RAW_INITIAL_WINDOW_SIZE, 1000000);
    assert_true(raw_give(end, &in));
    struct flow *first = raw_open_answered(end, 1);
    assert_int_equal(flow_write_some(first, 100000), 65535);
    struct flow *waits = end_open(end, "192.0.2.1:80");
    if (h2_stream_room(waits->stream) > 0) {
        assert_int_equal(flow_write_some(waits, 10), 0);
    }
    raw_add_u32(&in, RAW_WINDOW, 0, 100);
    assert_true(raw_give(end, &in));
    h2_stream_reset(first->stream, H2_CANCEL);
    first->stream = NULL;
    assert_true(h2_session_send(end->session));
    assert_int_equal(waits->num_writable, 1);
    assert_int_equal(h2_stream_room(waits->stream), 100);
    assert_int_equal(flow_write_some(waits, 1000), 100);
    end_free(end);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_windows),
        cmocka_unit_test(test_connection_window_is_shared),
        cmocka_unit_test(test_connection_window_is_fair),
        cmocka_unit_test(test_no_room_is_always_followed_by_some),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
