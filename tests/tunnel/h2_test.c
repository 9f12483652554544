// Client and server session back to back.
#include "tests/tunnel/h2_pair.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void check_clean(const struct end *end) {
    for (size_t i = 0; i < end->num_flows; i++) {
        const struct flow *flow = &end->flows[i];
        assert_int_equal(flow->num_ends, 1);
        assert_int_equal(flow->num_closed, 1);
        assert_true(flow->clean);
        assert_int_equal(flow->error, H2_NO_ERROR);
        assert_int_equal(flow->sent, flow->to_send);
    }
    assert_int_equal(h2_session_num_streams(end->session), 0);
}

static void check_received(const struct end *from, const struct end *to) {
    assert_int_equal(from->num_flows, to->num_flows);
    for (size_t i = 0; i < from->num_flows; i++) {
        assert_int_equal(to->flows[i].received, from->flows[i].sent);
    }
}

static void check_all(const struct pair *pair) {
    check_clean(&pair->client);
    check_clean(&pair->server);
    check_received(&pair->client, &pair->server);
    check_received(&pair->server, &pair->client);
}

static void test_many_streams_both_ways(void **state) {
    (void)state;
    static const size_t CHUNKS[] = {0, 1, 7, 5000, 40000};
    for (size_t round = 0; round < sizeof(CHUNKS) / sizeof(CHUNKS[0]); round++) {
        struct pair *pair = pair_new();
        size_t scale = CHUNKS[round] == 1 ? 3000 : 100000;
        pair->max_chunk = CHUNKS[round];
        pair->client.refuse_percent = pair->server.refuse_percent = 30;
        pair->server.answer_bytes = 1 + pair_random((unsigned)scale);
        pair->server.answer_lazy = true;
        for (int i = 0; i < 60; i++) {
            struct flow *flow = pair_open(pair, pair_random((unsigned)scale), true);
            flow->lazy = i % 3 == 0;
        }
        assert_true(pair_run(pair));
        check_all(pair);
        assert_int_equal(pair->client.num_ready, 1);
        assert_int_equal(pair->server.num_ready, 1);
        pair_free(pair);
    }
}

static void test_bulk_beyond_the_windows(void **state) {
    (void)state;
    struct pair *pair = pair_new();
    pair->max_chunk = 50000;
    pair->server.answer_bytes = 40U * 1024 * 1024;
    pair_open(pair, 24U * 1024 * 1024, true)->lazy = true;
    assert_true(pair_run(pair));
    check_all(pair);
    assert_true(pair->server.flows[0].num_writable > 0);
    pair_free(pair);
}

static void test_stalled_readers_do_not_stop_others(void **state) {
    (void)state;
    struct pair *pair = pair_new();
    pair->server.answer_stalled = true;
    for (int i = 0; i < 30; i++) { // more than the connection's window holds
        pair_open(pair, 3U * 1024 * 1024, true);
    }
    assert_true(pair_run(pair));
    for (int i = 0; i < 30; i++) {
        assert_int_equal(pair->server.flows[i].received, H2_STREAM_WINDOW);
        assert_int_equal(h2_stream_window(pair->client.flows[i].stream), 0);
    }
    pair->server.answer_stalled = false;
    pair->server.answer_bytes = 5U * 1024 * 1024;
    pair_open(pair, 8U * 1024 * 1024, true);
    assert_true(pair_run(pair));
    assert_int_equal(pair->server.flows[30].received, 8U * 1024 * 1024);
    assert_int_equal(pair->client.flows[30].received, 5U * 1024 * 1024);
    assert_true(pair->client.flows[30].clean);

    for (int i = 0; i < 30; i++) { // and the stalled ones go on where they were
        struct flow *flow = &pair->server.flows[i];
        flow->stalled = false;
        flow_consume_all(flow);
    }
    assert_true(pair_run(pair));
    for (int i = 0; i < 30; i++) {
        assert_int_equal(pair->server.flows[i].received, 3U * 1024 * 1024);
        assert_int_equal(pair->server.flows[i].num_ends, 1);
    }
    pair_free(pair);
}

// A reader that keeps up gets a larger window, one that stalled from the start does not.
static void test_a_window_grows_with_its_reader(void **state) {
    (void)state;
    struct pair *pair = pair_new();
    pair_open(pair, 8U * 1024 * 1024, false);
    assert_true(pair_run(pair));
    struct flow *flow = &pair->server.flows[0];
    assert_int_equal(flow->received, 8U * 1024 * 1024);
    size_t window = h2_stream_window(pair->client.flows[0].stream);
    assert_true(window > H2_STREAM_WINDOW);
    assert_true(window <= H2_STREAM_WINDOW_BULK);
    flow->stalled = true; // then it is held to the large window
    pair->client.flows[0].to_send += 8U * 1024 * 1024;
    flow_write(&pair->client.flows[0]);
    assert_true(pair_run(pair));
    size_t unconsumed = flow->received - flow->consumed;
    assert_true(unconsumed > H2_STREAM_WINDOW && unconsumed <= H2_STREAM_WINDOW_BULK);
    pair_free(pair);
}

// Threats class 21: what a peer can make us hold is bounded for the tunnel as a whole.
static void test_held_bytes_are_bounded(void **state) {
    (void)state;
    struct pair *pair = pair_new();
    pair->server.answer_stalled = true;
    for (int i = 0; i < 120; i++) {
        pair_open(pair, 1024 * 1024, true);
        assert_true(pair_run(pair));
    }
    size_t received = 0;
    for (size_t i = 0; i < pair->server.num_flows; i++) {
        received += pair->server.flows[i].received;
    }
    assert_true(received >= 64U * 1024 * 1024);
    assert_true(received <= 64U * 1024 * 1024 + H2_SESSION_WINDOW);
    for (size_t i = 0; i < pair->server.num_flows; i++) {
        pair->server.flows[i].stalled = false;
        if (i % 8 == 0) {
            flow_consume_all(&pair->server.flows[i]);
        } else { // a reset gives its share back as well
            h2_stream_reset(pair->server.flows[i].stream, H2_CANCEL);
            pair->server.flows[i].stream = NULL;
        }
    }
    assert_true(pair_run(pair));
    for (size_t i = 0; i < pair->server.num_flows; i += 8) {
        assert_int_equal(pair->server.flows[i].received, 1024 * 1024);
    }
    pair_free(pair);
}

static void test_half_close_each_way(void **state) {
    (void)state;
    struct pair *pair = pair_new();
    struct flow *flow = pair_open(pair, 1000, true);
    assert_true(pair_run(pair));
    struct flow *other = &pair->server.flows[0];
    assert_int_equal(other->num_ends, 1);
    assert_int_equal(other->num_closed, 0);
    assert_int_equal(flow->num_ends, 0);
    other->to_send = 200000; // the answer after the client's FIN
    other->ends_after = true;
    assert_true(pair_run(pair));
    check_all(pair);

    flow = pair_open(pair, 0, false);
    assert_true(pair_run(pair));
    other = &pair->server.flows[1];
    h2_stream_end(other->stream); // the server ends first
    assert_true(pair_run(pair));
    assert_int_equal(flow->num_ends, 1);
    assert_int_equal(flow->num_closed, 0);
    flow->to_send = 200000;
    flow->ends_after = true;
    assert_true(pair_run(pair));
    check_all(pair);
    pair_free(pair);
}

static void test_resets_both_ways(void **state) {
    (void)state;
    static const uint32_t CODES[] = {H2_NO_ERROR, H2_CANCEL, H2_CONNECT_ERROR, H2_INTERNAL_ERROR,
                                     H2_REFUSED_STREAM};
    struct pair *pair = pair_new();
    for (size_t i = 0; i < 2 * sizeof(CODES) / sizeof(CODES[0]); i++) {
        uint32_t code = CODES[i / 2];
        struct flow *client = pair_open(pair, 70000, false);
        assert_true(pair_run(pair));
        struct flow *server = &pair->server.flows[i];
        struct flow *from = i % 2 == 0 ? client : server;
        struct flow *to = i % 2 == 0 ? server : client;
        h2_stream_reset(from->stream, code);
        from->stream = NULL;
        assert_true(pair_run(pair));
        assert_int_equal(to->num_closed, 1);
        assert_int_equal(to->error, code);
        assert_false(to->clean);
        assert_int_equal(from->num_closed, 0); // no callback after our own reset
        assert_int_equal(h2_session_num_streams(pair->client.session), 0);
        assert_int_equal(h2_session_num_streams(pair->server.session), 0);
    }
    pair_free(pair);
}

static void test_reset_before_the_request_left(void **state) {
    (void)state;
    struct pair *pair = pair_new();
    struct flow *flow = pair_open(pair, 0, false);
    h2_stream_reset(flow->stream, H2_CANCEL);
    flow->stream = NULL;
    assert_true(pair_run(pair));
    assert_int_equal(pair->server.num_requests, 0);
    assert_true(h2_session_has_room(pair->client.session));
    pair_free(pair);
}

// The default of nghttp2 would end the session at the 1001st.
static void test_thousands_of_resets(void **state) {
    (void)state;
    struct pair *pair = pair_new();
    struct flow *witness = pair_open(pair, 100, false);
    for (int i = 0; i < 2100; i++) {
        struct flow *flow = pair_open(pair, 0, false);
        if (i % 2 == 0) { // else in the same bytes as the request
            assert_true(h2_session_send(pair->client.session));
            assert_true(pair_deliver(&pair->client, 0));
        } else {
            assert_true(h2_session_send(pair->client.session));
        }
        h2_stream_reset(flow->stream, H2_CANCEL);
        flow->stream = NULL;
        assert_true(h2_session_send(pair->client.session));
        assert_true(pair_deliver(&pair->client, 0));
        assert_true(h2_session_send(pair->server.session));
        assert_true(pair_deliver(&pair->server, 0));
    }
    // Those that were reset in the same bytes were never told.
    assert_int_equal(pair->server.num_requests, 1 + 1050);
    assert_int_equal(h2_session_num_streams(pair->server.session), 1);
    witness->to_send = 300000;
    witness->ends_after = true;
    pair->server.flows[0].ends_after = true;
    assert_true(pair_run(pair));
    assert_true(witness->clean);
    assert_int_equal(pair->server.flows[0].received, 300000);
    pair_free(pair);
}

static void test_graceful_goaway_loses_no_stream(void **state) {
    (void)state;
    struct pair *pair = pair_new();
    pair->server.answer_bytes = 50000;
    for (int i = 0; i < 10; i++) {
        pair_open(pair, 50000, true);
    }
    assert_true(h2_session_send(pair->client.session));
    assert_true(pair_deliver(&pair->client, 0));
    h2_session_shutdown_notice(pair->server.session);
    h2_session_ping(pair->server.session);
    assert_true(h2_session_send(pair->server.session));
    for (int i = 0; i < 10; i++) { // on their way while the notice comes
        pair_open(pair, 50000, true);
    }
    assert_true(h2_session_send(pair->client.session));
    assert_true(pair_deliver(&pair->server, 0));
    assert_int_equal(pair->client.num_goaway, 1);
    assert_int_equal(pair->client.goaway_error, H2_NO_ERROR);
    assert_false(h2_session_has_room(pair->client.session));
    assert_true(h2_session_send(pair->client.session));
    assert_int_equal(pair->server.num_pong, 0);
    assert_true(pair_deliver(&pair->client, 0));
    assert_int_equal(pair->server.num_pong, 1);
    h2_session_goaway(pair->server.session, H2_NO_ERROR);
    assert_true(pair_run(pair));
    assert_int_equal(pair->client.num_goaway, 2);
    check_all(pair);
    assert_int_equal(pair->client.num_flows, 20);
    assert_null(h2_session_connect(pair->client.session, "192.0.2.1:1", NULL, NULL));
    pair_free(pair);
}

static void test_goaway_excludes_what_came_late(void **state) {
    (void)state;
    struct pair *pair = pair_new();
    struct flow *first = pair_open(pair, 1000, false);
    assert_true(pair_run(pair));
    h2_session_goaway(pair->server.session, H2_NO_ERROR);
    struct flow *second = pair_open(pair, 0, false); // leaves before the GOAWAY comes
    assert_true(h2_session_send(pair->client.session));
    struct flow *third = pair_open(pair, 0, false); // has not left
    assert_true(h2_session_send(pair->server.session));
    assert_true(pair_deliver(&pair->server, 0));
    assert_int_equal(second->num_closed, 1);
    assert_int_equal(second->error, H2_REFUSED_STREAM);
    assert_int_equal(third->num_closed, 1);
    assert_int_equal(third->error, H2_REFUSED_STREAM);
    first->to_send = 100000;
    first->ends_after = true;
    pair->server.flows[0].ends_after = true;
    assert_true(pair_run(pair));
    assert_true(first->clean);
    assert_int_equal(pair->server.num_requests, 1);
    assert_int_equal(h2_session_num_streams(pair->client.session), 0);
    pair_free(pair);
}

static void test_refusals(void **state) {
    (void)state;
    static const int STATUSES[] = {400, 401, 503};
    struct pair *pair = pair_new();
    for (size_t i = 0; i < 3; i++) {
        pair->server.answer = STATUSES[i];
        struct flow *flow = pair_open(pair, 0, false);
        assert_true(pair_run(pair));
        assert_int_equal(flow->status, STATUSES[i]);
        assert_int_equal(flow->num_ends, 1);
        // The server does not wait for a client that never ends.
        assert_int_equal(h2_session_num_streams(pair->server.session), 0);
        assert_int_equal(pair->server.flows[i].num_closed, 1);
        assert_true(pair->server.flows[i].clean);
        assert_int_equal(h2_session_num_streams(pair->client.session), 0);
    }
    pair_free(pair);
}

static void test_early_bytes_wait_for_the_answer(void **state) {
    (void)state;
    struct pair *pair = pair_new();
    pair->server.answer = 0;
    struct flow *flow = pair_open(pair, 100000, false);
    assert_int_equal(flow_write_some(flow, 100000), 65535); // the window that is known now
    assert_true(pair_run(pair));
    struct flow *other = &pair->server.flows[0];
    assert_int_equal(other->received, 100000);
    assert_int_equal(flow->status, 0);
    assert_int_equal(h2_stream_window(other->stream), 0);
    assert_int_equal(flow_write_some(other, 10), 0); // not before the status
    assert_true(h2_stream_respond(other->stream, 200));
    assert_false(h2_stream_respond(other->stream, 200));
    assert_int_equal(flow_write_some(other, 10), 10);
    assert_true(pair_run(pair));
    assert_int_equal(flow->status, 200);
    assert_int_equal(flow->received, 10);
    assert_int_equal(other->received, 100000);
    pair_free(pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_streams_both_ways),
        cmocka_unit_test(test_bulk_beyond_the_windows),
        cmocka_unit_test(test_stalled_readers_do_not_stop_others),
        cmocka_unit_test(test_a_window_grows_with_its_reader),
        cmocka_unit_test(test_held_bytes_are_bounded),
        cmocka_unit_test(test_half_close_each_way),
        cmocka_unit_test(test_resets_both_ways),
        cmocka_unit_test(test_reset_before_the_request_left),
        cmocka_unit_test(test_thousands_of_resets),
        cmocka_unit_test(test_graceful_goaway_loses_no_stream),
        cmocka_unit_test(test_goaway_excludes_what_came_late),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_early_bytes_wait_for_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
