// HTTP/2 through the edge where a limit is met: fields that are too large, streams that are too
// many, heads and answers that do not go on, bodies where there is none.
#include "agent/http/http2_session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/http/http2_world.h"

static const struct rig_setup SETUP = {.client = HTTP_VERSION_ANY};

// More than a head may have: 40 KB.
static void fill_trailers(struct http_fields *trailers) {
    static char value[4001];
    memset(value, 'v', sizeof(value) - 1);
    *trailers = (struct http_fields){.num = 0};
    for (int i = 0; i < 10; i++) {
        assert_int_equal(http_fields_add(trailers, span_of_text("x-large"), span_of_text(value)),
                         HTTP_FIELDS_OK);
    }
}

// Neither side is given a part of them as if it were all.
static void test_trailers_of_a_request_are_too_large(void **state) {
    (void)state;
    struct http2_world world;
    struct http_fields trailers;
    http2_world_init(&world, &SETUP, false);
    fill_trailers(&trailers);
    struct flow *flow = http2_world_ask(&world, REQUEST("POST", "/", ), false);
    assert_true(http2_stream_write(flow->stream, span_of_text("abc")));
    assert_true(http2_stream_end(flow->stream, &trailers));
    http2_world_settle(&world);
    assert_int_equal(flow->num_closed, 1);
    assert_int_equal(flow->error, HTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(world.rig->reason, HTTP_REASON_TOO_LARGE);
    assert_string_equal(world.rig->why, "the request's trailers are too large");
    assert_null(world.rig->backs[0].back); // the application's connection is given up
    assert_false(world.rig->backs[0].clean);
    flow = http2_world_ask(&world, REQUEST("GET", "/", ), true); // the client's goes on
    assert_true(rig_app_got(world.rig, 1, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    http_fields_fini(&trailers);
    http2_world_fini(&world);
}

static void test_trailers_of_an_answer_are_too_large(void **state) {
    (void)state;
    struct http2_world world;
    struct http_fields trailers, head = {.num = 0};
    http2_world_init(&world, &SETUP, true);
    fill_trailers(&trailers);
    assert_int_equal(http_fields_set(&head, ":status", span_of_text("200")), HTTP_FIELDS_OK);
    struct flow *flow = http2_world_ask(&world, REQUEST("POST", "/", "content-type", GRPC, ), true);
    assert_true(http2_stream_respond(world.app->flows[0].stream, &head, false));
    http2_world_settle(&world);
    assert_true(http2_stream_end(world.app->flows[0].stream, &trailers));
    http2_world_settle(&world);
    assert_true(fields_have(&flow->head, ":status", "200"));
    assert_int_equal(flow->num_ends, 0);
    assert_int_equal(flow->error, HTTP2_INTERNAL_ERROR);
    assert_int_equal(world.app->flows[0].num_closed, 1);
    assert_int_equal(world.rig->reason, HTTP_REASON_APP_ANSWER);
    flow = http2_world_ask(&world, REQUEST("POST", "/", "content-type", GRPC, ), true);
    assert_int_equal(world.app->num_flows, 2); // on the same connection
    assert_int_equal(world.rig->num_backs, 1);
    http_fields_fini(&trailers);
    http_fields_fini(&head);
    http2_world_fini(&world);
}

static void answer_in_two_frames(struct http2_world *world, size_t n, const char *status) {
    struct http_fields head = {.num = 0};
    assert_int_equal(http_fields_set(&head, ":status", span_of_text(status)), HTTP_FIELDS_OK);
    assert_int_equal(http_fields_set(&head, "etag", span_of_text("x")), HTTP_FIELDS_OK);
    http2_world_settle(world);
    assert_int_equal(world->app->num_flows, n + 1);
    assert_true(http2_stream_respond(world->app->flows[n].stream, &head, false));
    http2_world_settle(world);
    assert_true(http2_stream_end(world->app->flows[n].stream, NULL));
    http2_world_settle(world);
    http_fields_fini(&head);
}

// An application of HTTP/2 that ends such an answer by an empty DATA frame: nothing of a body may
// follow in HTTP/1.1, where it would be the next answer's beginning.
static void test_no_body_where_there_is_none(void **state) {
    (void)state;
    static const char *const CASES[][2] = {{"HEAD", "200"}, {"GET", "204"}, {"GET", "304"}};
    const struct rig_setup setup = {.client = HTTP_VERSION_1, .application = HTTP_VERSION_2};
    struct http2_world world;
    http2_world_init(&world, &setup, true);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        char text[128];
        snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: h\r\n\r\n", CASES[i][0]);
        (void)rig_send_text(world.rig, text);
        answer_in_two_frames(&world, i, CASES[i][1]);
        snprintf(text, sizeof(text), "HTTP/1.1 %s \r\netag: x\r\n\r\n", CASES[i][1]);
        assert_true(rig_client_got(world.rig, text));
    }
    http2_world_fini(&world);
}

// Cookies that a browser sends in many fields are one to the application, however much of the room
// they take.
static void test_large_cookies_are_joined(void **state) {
    (void)state;
    static char crumb[4001];
    memset(crumb, 'c', sizeof(crumb) - 1);
    struct http2_world world;
    http2_world_init(&world, &SETUP, false);
    (void)http2_world_ask(&world,
                          REQUEST("GET", "/", "cookie", crumb, "cookie", crumb, "cookie", crumb,
                                  "cookie", crumb, "cookie", crumb, "cookie", crumb, "cookie",
                                  crumb, "x-last", "1", ),
                          true);
    assert_int_equal(world.rig->num_refused, 0);
    assert_int_equal(world.rig->num_backs, 1);
    struct span got = buf_span(&world.rig->backs[0].got);
    assert_true(got.len > 7 * (sizeof(crumb) - 1));
    assert_non_null(memmem(got.ptr, got.len, "\r\nx-last: 1\r\n", 13));
    assert_non_null(memmem(got.ptr, got.len, "cc; cc", 6));
    http2_world_fini(&world);
}

// A head without its end is the client's slowness, and no request.
static void test_half_a_head(void **state) {
    (void)state;
    static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    static const char HALF[] = "\0\0\2\1\1\0\0\0\1\x82\x87"; // END_STREAM, not END_HEADERS
    static const char REST[] = "\0\0\4\x9\4\0\0\0\1\x84\x41\1h";
    OWNED(rig_free) struct rig *rig = rig_new(&(struct rig_setup){.client = HTTP_VERSION_2});
    (void)rig_send(rig, span_of(PREFACE, sizeof(PREFACE) - 1));
    assert_false(http_edge_is_reading_head(rig->edge));
    (void)rig_send(rig, span_of(HALF, sizeof(HALF) - 1));
    assert_true(http_edge_is_reading_head(rig->edge));
    assert_true(http_edge_is_idle(rig->edge));
    (void)rig_send(rig, span_of(REST, sizeof(REST) - 1));
    assert_false(http_edge_is_reading_head(rig->edge));
    assert_false(http_edge_is_idle(rig->edge));
    assert_true(rig_app_got(rig, 0, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
}

// An answer that is complete and waits for the client holds no request open.
static void test_answers_that_are_not_taken(void **state) {
    (void)state;
    static const char NO_WINDOW[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                    "\0\0\6\4\0\0\0\0\0\0\4\0\0\0\0"
                                    "\0\0\6\1\5\0\0\0\1\x82\x87\x84\x41\1h";
    OWNED(rig_free) struct rig *rig = rig_new(&(struct rig_setup){.client = HTTP_VERSION_2});
    rig->app = rig_app_ok;
    (void)rig_send(rig, span_of(NO_WINDOW, sizeof(NO_WINDOW) - 1));
    assert_int_equal(rig->num_backs, 1);
    assert_true(http_edge_is_idle(rig->edge));
    http_edge_close_idle(rig->edge);
    rig_pump(rig);
    assert_int_equal(http_edge_state(rig->edge), HTTP_EDGE_OPEN); // it may still be taken
}

// Where the application takes one stream at a time, the second has a connection of its own.
static void test_more_streams_than_the_application_takes(void **state) {
    (void)state;
    static const char ONE[] = "\0\0\6\4\0\0\0\0\0\0\3\0\0\0\1";
    const struct rig_setup setup = {.client = HTTP_VERSION_ANY, .application = HTTP_VERSION_2};
    struct http2_world world;
    http2_world_init(&world, &setup, false);
    (void)http2_world_ask(&world, REQUEST("GET", "/1", ), true);
    rig_app(world.rig, 0, span_of(ONE, sizeof(ONE) - 1));
    (void)http2_world_ask(&world, REQUEST("GET", "/2", ), true);
    assert_int_equal(world.rig->num_backs, 2);
    http2_world_fini(&world);
}

// A client's FIN: what it has asked is still answered, what it was asking is taken back at once.
static void test_a_client_that_ends(void **state) {
    (void)state;
    struct http_fields head = {.num = 0};
    assert_int_equal(http_fields_set(&head, ":status", span_of_text("200")), HTTP_FIELDS_OK);
    struct http2_world world;
    http2_world_init(&world, &SETUP, true);
    struct flow *asked =
        http2_world_ask(&world, REQUEST("POST", "/", "content-type", GRPC, ), true);
    struct flow *asking =
        http2_world_ask(&world, REQUEST("POST", "/", "content-type", GRPC, ), false);
    http_edge_end(world.rig->edge);
    http2_world_settle(&world);
    assert_int_equal(asking->error, HTTP2_CANCEL);
    assert_int_equal(world.app->flows[1].num_closed, 1);
    assert_int_equal(world.app->flows[1].error, HTTP2_CANCEL);
    assert_int_equal(world.app->flows[0].num_closed, 0);
    assert_true(http2_stream_respond(world.app->flows[0].stream, &head, true));
    http2_world_settle(&world);
    assert_true(fields_have(&asked->head, ":status", "200"));
    assert_int_equal(http_edge_state(world.rig->edge), HTTP_EDGE_OVER);
    http_fields_fini(&head);
    http2_world_fini(&world);
}

#define NUM_UPLOADS 60
#define UPLOAD_LEN 150000

static size_t waiting_for(const struct rig *rig) {
    size_t sum = 0;
    for (size_t i = 0; i < rig->num_backs; i++) {
        sum += http_back_output(rig->backs[i].back).len;
    }
    return sum;
}

// Uploads that an application takes nothing of: what they make us hold is bounded together, not
// only each, and all of them go on when it takes.
static void test_many_uploads_that_wait(void **state) {
    (void)state;
    static uint8_t block[UPLOAD_LEN];
    struct http2_world world;
    struct flow *flows[NUM_UPLOADS];
    http2_world_init(&world, &SETUP, false);
    world.rig->unconnected = true;
    for (size_t i = 0; i < NUM_UPLOADS; i++) {
        flows[i] =
            http2_world_ask(&world, REQUEST("PUT", "/", "content-length", "150000", ), false);
        assert_true(http2_stream_write(flows[i]->stream, span_of(block, sizeof(block))));
        assert_true(http2_stream_end(flows[i]->stream, NULL));
        http2_world_settle(&world);
    }
    assert_int_equal(world.rig->num_backs, NUM_UPLOADS);
    size_t waiting = waiting_for(world.rig);
    assert_true(waiting > 1000000 && waiting < 2500000);
    world.rig->unconnected = false;
    http2_world_settle(&world);
    for (size_t i = 0; i < NUM_UPLOADS; i++) {
        assert_true(world.rig->backs[i].got.len > UPLOAD_LEN);
    }
    http2_world_fini(&world);
}

// What closed streams held is nobody's any more: the connection's credit comes back.
static void test_uploads_that_are_given_up(void **state) {
    (void)state;
    static uint8_t block[UPLOAD_LEN];
    struct http2_world world;
    http2_world_init(&world, &SETUP, false);
    world.rig->unconnected = true;
    for (size_t i = 0; i < NUM_UPLOADS; i++) {
        struct flow *flow = http2_world_ask(&world, REQUEST("PUT", "/", ), false);
        assert_true(http2_stream_write(flow->stream, span_of(block, sizeof(block))));
        http2_world_settle(&world);
        http2_stream_reset(flow->stream, HTTP2_CANCEL);
        http2_world_settle(&world);
    }
    world.rig->unconnected = false;
    struct flow *flow = http2_world_ask(&world, REQUEST("PUT", "/", ), false);
    assert_true(http2_stream_write(flow->stream, span_of(block, sizeof(block))));
    assert_true(http2_stream_end(flow->stream, NULL));
    http2_world_settle(&world);
    assert_true(world.rig->backs[NUM_UPLOADS].got.len > UPLOAD_LEN);
    http2_world_fini(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trailers_of_a_request_are_too_large),
        cmocka_unit_test(test_trailers_of_an_answer_are_too_large),
        cmocka_unit_test(test_no_body_where_there_is_none),
        cmocka_unit_test(test_large_cookies_are_joined),
        cmocka_unit_test(test_half_a_head),
        cmocka_unit_test(test_answers_that_are_not_taken),
        cmocka_unit_test(test_more_streams_than_the_application_takes),
        cmocka_unit_test(test_a_client_that_ends),
        cmocka_unit_test(test_many_uploads_that_wait),
        cmocka_unit_test(test_uploads_that_are_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
