// HTTP/2 through the edge: a client's session on one side; on the other an application that speaks
// HTTP/1.1, or HTTP/2 from the first byte.
#include "agent/http/http2_session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/http/http2_world.h"

static const struct rig_setup SETUP = {.client = HTTP_VERSION_ANY};

static void test_http1_application(void **state) {
    (void)state;
    struct http2_world world;
    http2_world_init(&world, &SETUP, false);
    struct flow *flow = http2_world_ask(&world,
                                        REQUEST("GET", "/a?b", "cookie", "a=1", "cookie", "b=2",
                                                "te", "trailers", "x-ssl-client-s-dn", "CN=me", ),
                                        true);
    assert_true(rig_app_got(world.rig, 0,
                            "GET /a?b HTTP/1.1\r\nHost: h\r\ncookie: a=1; b=2\r\n"
                            "te: trailers\r\n\r\n"));
    rig_app_text(world.rig, 0,
                 "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                 "HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nX-Up: 2\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: t\r\n\r\n");
    http2_world_settle(&world);
    assert_int_equal(flow->num_heads, 2); // the hint and the answer
    assert_true(fields_have(&flow->head, ":status", "200"));
    assert_true(fields_have(&flow->head, "x-up", "2"));
    assert_int_equal(http_fields_find(&flow->head, "x-hop"), -1);
    assert_int_equal(http_fields_find(&flow->head, "transfer-encoding"), -1);
    assert_true(span_equal_text(buf_span(&flow->body), "abc"));
    assert_true(fields_have(&flow->trailers, "x-t", "t"));
    assert_int_equal(flow->num_closed, 1);
    assert_int_equal(flow->error, HTTP2_NO_ERROR);
    flow = http2_world_ask(&world, REQUEST("HEAD", "/", ), true); // on the same connection
    assert_true(rig_app_got(world.rig, 0, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"));
    rig_app_text(world.rig, 0, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
    http2_world_settle(&world);
    assert_true(fields_have(&flow->head, "content-length", "7"));
    assert_int_equal(flow->num_closed, 1);
    http2_world_fini(&world);
}

static void test_request_bodies(void **state) {
    (void)state;
    struct http2_world world;
    http2_world_init(&world, &SETUP, false);
    struct flow *flow =
        http2_world_ask(&world, REQUEST("POST", "/", "content-length", "3", ), false);
    assert_true(http2_stream_write(flow->stream, span_of_text("abc")));
    assert_true(http2_stream_end(flow->stream, NULL));
    http2_world_settle(&world);
    assert_true(
        rig_app_got(world.rig, 0, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"));
    flow = http2_world_ask(&world, REQUEST("POST", "/", ), false);
    assert_true(http2_stream_write(flow->stream, span_of_text("hello")));
    http2_world_settle(&world);
    assert_true(http2_stream_end(flow->stream, NULL));
    http2_world_settle(&world);
    assert_true(rig_app_got(world.rig, 1,
                            "POST / HTTP/1.1\r\nHost: h\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n"
                            "5\r\nhello\r\n0\r\n\r\n"));
    http2_world_fini(&world);
}

// What nghttp2 lets pass and HTTP/1.1 behind it would read as something else.
static void test_what_is_refused(void **state) {
    (void)state;
    static const char *const CASES[][2] = {
        {"/a b", NULL},
        {"/a\tb", NULL},
        {"/#", NULL},
        {"/", "content_length"},
        {"/", "transfer_encoding"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct http2_world world;
        http2_world_init(&world, &SETUP, false);
        struct flow *flow =
            http2_world_ask(&world, REQUEST("GET", CASES[i][0], CASES[i][1], "5", ), true);
        bool answered = fields_have(&flow->head, ":status", "400");
        assert_true(answered || flow->num_closed == 1); // by us, or by nghttp2
        assert_int_equal(world.rig->num_backs, 0);
        http2_world_fini(&world);
    }
}

static void test_two_hosts(void **state) {
    (void)state;
    struct http2_world world;
    http2_world_init(&world, &SETUP, false);
    struct flow *flow = http2_world_ask(&world, REQUEST("GET", "/", "host", "other", ), true);
    assert_true(fields_have(&flow->head, ":status", "400"));
    assert_int_equal(world.rig->num_backs, 0);
    flow = http2_world_ask(&world, REQUEST("GET", "/", "host", "H", ), true);
    assert_true(rig_app_got(world.rig, 0, "GET / HTTP/1.1\r\nHost: H\r\n\r\n"));
    http2_world_fini(&world);
}

// Acceptance 12 and 13: a 400 with a page of 154 bytes, a 404, and the rest goes on.
static void test_each_stream_is_judged(void **state) {
    (void)state;
    const char *open = "^/open";
    const struct http_rule rule = {.methods = (const char *const[]){"GET"}, .num_methods = 1};
    const struct http_policy_setup policy = {
        .rules = &rule, .num_rules = 1, .skip_mtls = &open, .num_skip_mtls = 1};
    const struct http_caller caller = {.tls = true, .requires_client = true};
    const struct rig_setup setup = {.policy = &policy, .caller = &caller};
    struct http2_world world;
    http2_world_init(&world, &setup, false);
    struct flow *flow = http2_world_ask(&world, REQUEST("GET", "/x", ), true);
    assert_true(fields_have(&flow->head, ":status", "400"));
    assert_true(fields_have(&flow->head, "content-type", "text/html"));
    assert_int_equal(flow->body.len, 154);
    assert_int_equal(world.rig->num_backs, 0);
    flow =
        http2_world_ask(&world, REQUEST("POST", "/open", ), false); // also with its body under way
    assert_true(fields_have(&flow->head, ":status", "404"));
    assert_int_equal(flow->num_closed, 1);
    flow = http2_world_ask(&world, REQUEST("GET", "/x/../open", ), true);
    assert_true(rig_app_got(world.rig, 0, "GET /open HTTP/1.1\r\nHost: h\r\n\r\n"));
    rig_app_text(world.rig, 0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    http2_world_settle(&world);
    assert_true(span_equal_text(buf_span(&flow->body), "ok"));
    http2_world_fini(&world);
}

static void test_grpc(void **state) {
    (void)state;
    struct http2_world world;
    http2_world_init(&world, &SETUP, true);
    struct flow *flow = http2_world_ask(
        &world, REQUEST("POST", "/s/m", "content-type", GRPC "+proto", "te", "trailers", ), false);
    assert_true(http2_stream_write(flow->stream, span_of_text("ping")));
    http2_world_settle(&world);
    assert_int_equal(world.app->num_flows, 1);
    struct flow *seen = &world.app->flows[0];
    assert_true(fields_have(&seen->head, ":path", "/s/m"));
    assert_true(fields_have(&seen->head, "te", "trailers"));
    assert_true(fields_have(&seen->head, ":scheme", "http"));
    assert_true(span_equal_text(buf_span(&seen->body), "ping"));
    struct http_fields head = {.num = 0}, trailers = {.num = 0};
    assert_int_equal(http_fields_set(&head, ":status", span_of_text("200")), HTTP_FIELDS_OK);
    assert_int_equal(http_fields_set(&trailers, "grpc-status", span_of_text("0")), HTTP_FIELDS_OK);
    assert_true(http2_stream_respond(seen->stream, &head, false));
    assert_true(http2_stream_write(seen->stream, span_of_text("pong")));
    http2_world_settle(&world);
    assert_true(span_equal_text(buf_span(&flow->body), "pong")); // before either side has ended
    assert_true(http2_stream_end(flow->stream, NULL));
    http2_world_settle(&world);
    assert_int_equal(seen->num_ends, 1);
    assert_true(http2_stream_end(seen->stream, &trailers));
    http2_world_settle(&world);
    assert_true(fields_have(&flow->trailers, "grpc-status", "0"));
    assert_int_equal(flow->num_closed, 1);
    // Another request of the same client: another stream. Its answer is trailers only.
    flow = http2_world_ask(&world, REQUEST("POST", "/s/n", "content-type", GRPC, ), true);
    assert_int_equal(world.app->num_flows, 2);
    assert_int_equal(world.rig->num_backs, 1);
    assert_int_equal(http_fields_set(&head, "grpc-status", span_of_text("12")), HTTP_FIELDS_OK);
    assert_true(http2_stream_respond(world.app->flows[1].stream, &head, true));
    http2_world_settle(&world);
    assert_true(fields_have(&flow->head, "grpc-status", "12"));
    assert_int_equal(flow->num_ends, 1);
    http_fields_fini(&head);
    http_fields_fini(&trailers);
    http2_world_fini(&world);
}

static void test_cancelled_streams(void **state) {
    (void)state;
    struct http2_world world;
    http2_world_init(&world, &SETUP, true);
    struct flow *flow =
        http2_world_ask(&world, REQUEST("POST", "/", "content-type", GRPC, ), false);
    http2_stream_reset(flow->stream, HTTP2_CANCEL);
    http2_world_settle(&world);
    assert_int_equal(world.app->flows[0].num_closed, 1);
    assert_int_equal(world.app->flows[0].error, HTTP2_CANCEL);
    flow =
        http2_world_ask(&world, REQUEST("GET", "/", ), true); // HTTP/1.1: a connection is given up
    assert_non_null(world.rig->backs[1].back);
    http2_stream_reset(flow->stream, HTTP2_CANCEL);
    http2_world_settle(&world);
    assert_null(world.rig->backs[1].back);
    assert_false(world.rig->backs[1].clean);
    assert_true(http_edge_is_idle(world.rig->edge));
    http2_world_fini(&world);
}

static void test_application_fails(void **state) {
    (void)state;
    struct http2_world world;
    http2_world_init(&world, &SETUP, true);
    struct flow *grpc = http2_world_ask(&world, REQUEST("POST", "/", "content-type", GRPC, ), true);
    struct flow *early = http2_world_ask(&world, REQUEST("GET", "/1", ), true);
    struct flow *late = http2_world_ask(&world, REQUEST("GET", "/2", ), true);
    rig_app_end(world.rig, 0);
    rig_app_end(world.rig, 1);
    rig_app_text(world.rig, 2, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    rig_app_end(world.rig, 2);
    http2_world_settle(&world);
    assert_true(fields_have(&grpc->head, ":status", "502"));
    assert_true(fields_have(&early->head, ":status", "502"));
    assert_true(fields_have(&late->head, ":status", "200")); // cut off, and it shows
    assert_int_equal(late->error, HTTP2_INTERNAL_ERROR);
    http2_world_fini(&world);
}

// Many megabytes each way while one client stream takes nothing: bounded, and nobody waits for it.
static void test_flow_control(void **state) {
    (void)state;
    struct http2_world world;
    http2_world_init(&world, &SETUP, false);
    struct flow *stuck = http2_world_ask(&world, REQUEST("GET", "/stuck", ), true);
    stuck->no_credit = true;
    static uint8_t block[400000];
    rig_app_text(world.rig, 0, "HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n");
    size_t given = 0;
    while (http_back_wants_input(world.rig->backs[0].back) && given < sizeof(block)) {
        given += http_back_receive(world.rig->backs[0].back,
                                   span_of(block + given, sizeof(block) - given));
        http2_world_settle(&world);
    }
    assert_true(given < 300000); // a window and a buffer
    struct flow *other = http2_world_ask(&world, REQUEST("GET", "/other", ), true);
    rig_app_text(world.rig, 1, "HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n");
    for (size_t sent = 0; sent < sizeof(block);) {
        size_t taken = http_back_receive(world.rig->backs[1].back,
                                         span_of(block + sent, sizeof(block) - sent));
        sent += taken;
        http2_world_settle(&world);
        assert_true(taken > 0);
    }
    http2_world_settle(&world);
    assert_int_equal(other->body.len, sizeof(block));
    assert_int_equal(other->num_closed, 1);
    stuck->no_credit = false;
    http2_stream_consumed(stuck->stream);
    while (given < sizeof(block)) {
        http2_world_settle(&world);
        given += http_back_receive(world.rig->backs[0].back,
                                   span_of(block + given, sizeof(block) - given));
    }
    http2_world_settle(&world);
    assert_int_equal(stuck->body.len, sizeof(block));
    http2_world_fini(&world);
}

static void test_uploads_wait_for_the_application(void **state) {
    (void)state;
    struct http2_world world;
    http2_world_init(&world, &SETUP, false);
    static uint8_t block[1000000];
    struct flow *flow =
        http2_world_ask(&world, REQUEST("PUT", "/", "content-length", "1000000", ), false);
    world.rig->unconnected = true;
    assert_true(http2_stream_write(flow->stream, span_of(block, sizeof(block))));
    http2_world_settle(&world);
    assert_true(http2_stream_room(flow->stream) == 0); // most of it is still with the client
    world.rig->unconnected = false;
    assert_true(http2_stream_end(flow->stream, NULL));
    http2_world_settle(&world);
    assert_true(world.rig->backs[0].got.len > sizeof(block));
    rig_app_text(world.rig, 0, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    http2_world_settle(&world);
    assert_true(fields_have(&flow->head, ":status", "201"));
    http2_world_fini(&world);
}

static void test_many_streams_and_drain(void **state) {
    (void)state;
    struct http2_world world;
    http2_world_init(&world, &SETUP, false);
    world.rig->app = rig_app_ok;
    for (int i = 0; i < 150; i++) {
        struct flow *flow = http2_world_ask(&world, REQUEST("GET", "/", ), true);
        assert_true(span_equal_text(buf_span(&flow->body), "ok"));
    }
    assert_int_equal(world.rig->num_backs, 1); // one after the other on the same connection
    world.rig->app = NULL;
    struct flow *last = http2_world_ask(&world, REQUEST("GET", "/", ), true);
    http_edge_close_idle(world.rig->edge);
    http2_world_settle(&world);
    assert_false(http2_session_has_room(world.client->session));
    rig_app_text(world.rig, 0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    http2_world_settle(&world);
    assert_true(span_equal_text(buf_span(&last->body), "ok"));
    assert_int_equal(http_edge_state(world.rig->edge), HTTP_EDGE_FINISHED);
    http2_world_fini(&world);
}

// A stream that the client has opened before it could know is no lost one.
static void test_stream_on_its_way_while_draining(void **state) {
    (void)state;
    struct http2_world world;
    http2_world_init(&world, &SETUP, false);
    world.rig->app = rig_app_ok;
    (void)http2_world_ask(&world, REQUEST("GET", "/", ), true);
    http_edge_drain(world.rig->edge); // its GOAWAY has not been sent
    struct flow *late = http2_world_ask(&world, REQUEST("GET", "/", ), true);
    assert_true(span_equal_text(buf_span(&late->body), "ok"));
    assert_false(http2_session_has_room(world.client->session));
    assert_int_equal(http_edge_state(world.rig->edge), HTTP_EDGE_OPEN);
    http_edge_close_idle(world.rig->edge);
    http2_world_settle(&world);
    assert_int_equal(http_edge_state(world.rig->edge), HTTP_EDGE_FINISHED);
    http2_world_fini(&world);
}

static void test_not_http2(void **state) {
    (void)state;
    OWNED(rig_free) struct rig *rig = rig_new(&(struct rig_setup){.client = HTTP_VERSION_2});
    (void)rig_send_text(rig, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(http_edge_state(rig->edge), HTTP_EDGE_FINISHED);
    assert_int_equal(rig->num_backs, 0);
}

static bool contains(const struct buf *buf, const char *bytes, size_t len) {
    struct span all = buf_span(buf);
    return memmem(all.ptr, all.len, bytes, len) != NULL;
}

// An application that answers before it has heard everything, and leaves the stream half open.
static void test_early_answer_leaves_no_stream(void **state) {
    (void)state;
    static const char ANSWER[] = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"      // SETTINGS
                                 "\x00\x00\x01\x01\x05\x00\x00\x00\x01\x88"; // 200, END_STREAM
    static const char RESET[] = "\x00\x00\x04\x03\x00\x00\x00\x00\x01";
    const struct rig_setup setup = {.client = HTTP_VERSION_ANY, .application = HTTP_VERSION_2};
    struct http2_world world;
    http2_world_init(&world, &setup, false);
    struct flow *flow = http2_world_ask(&world, REQUEST("POST", "/", ), false);
    rig_app(world.rig, 0, span_of(ANSWER, sizeof(ANSWER) - 1));
    http2_world_settle(&world);
    assert_true(fields_have(&flow->head, ":status", "200"));
    assert_true(contains(&world.rig->backs[0].got, RESET, sizeof(RESET) - 1));
    assert_false(http_back_is_waiting(world.rig->backs[0].back));
    http2_world_fini(&world);
}

// After a connection error nothing more is said; streams that were open hold nobody.
static void test_broken_client_is_idle(void **state) {
    (void)state;
    static const char DATA_ON_NONE[] = "\x00\x00\x01\x00\x00\x00\x00\x00\x00x";
    struct http2_world world;
    http2_world_init(&world, &SETUP, false);
    (void)http2_world_ask(&world, REQUEST("GET", "/", ), true);
    assert_false(http_edge_is_idle(world.rig->edge));
    (void)rig_send(world.rig, span_of(DATA_ON_NONE, sizeof(DATA_ON_NONE) - 1));
    assert_int_equal(http_edge_state(world.rig->edge), HTTP_EDGE_FINISHED);
    assert_true(http_edge_is_idle(world.rig->edge));
    http2_world_fini(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_early_answer_leaves_no_stream),
        cmocka_unit_test(test_broken_client_is_idle),
        cmocka_unit_test(test_http1_application),
        cmocka_unit_test(test_request_bodies),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_two_hosts),
        cmocka_unit_test(test_each_stream_is_judged),
        cmocka_unit_test(test_grpc),
        cmocka_unit_test(test_cancelled_streams),
        cmocka_unit_test(test_application_fails),
        cmocka_unit_test(test_flow_control),
        cmocka_unit_test(test_uploads_wait_for_the_application),
        cmocka_unit_test(test_many_streams_and_drain),
        cmocka_unit_test(test_stream_on_its_way_while_draining),
        cmocka_unit_test(test_not_http2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
