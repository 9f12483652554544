// A server session against hand-made and hostile frames.
#include "tests/tunnel/h2_raw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct end *server_new(void) {
    struct end *end = end_new(true);
    struct buf in = {0};
    raw_preface(&in);
    assert_true(raw_give(end, &in));
    assert_int_equal(end->num_ready, 1);
    buf_clear(&end->wire);
    return end;
}

// A request must still be served: the session has not suffered.
static void check_alive(struct end *end, uint32_t id) {
    struct buf in = {0};
    struct raw_frame frame;
    int before = end->num_requests;
    end->answer = 200;
    raw_request(&in, id, "CONNECT", "192.0.2.1:80");
    assert_true(raw_give(end, &in));
    assert_int_equal(end->num_requests, before + 1);
    assert_true(raw_take(end, RAW_HEADERS, id, &frame));
}

static void check_rst(struct end *end, uint32_t id, uint32_t error) {
    struct raw_frame frame;
    assert_true(raw_take(end, RAW_RST, id, &frame));
    assert_int_equal(raw_u32(frame.payload, 0), error);
}

static void check_broken(struct end *end, struct buf *in, uint32_t error) {
    struct raw_frame frame;
    assert_false(raw_give(end, in));
    assert_true(raw_take(end, RAW_GOAWAY, 0, &frame));
    assert_int_equal(raw_u32(frame.payload, 4), error);
    assert_true(strlen(h2_session_error(end->session)) > 5);
    assert_false(h2_session_receive(end->session, span_of_text("more")));
    assert_false(h2_session_send(end->session));
    assert_false(h2_session_wants_send(end->session));
}

static void test_settings_announced(void **state) {
    (void)state;
    struct end *end = end_new(true);
    struct raw_frame frame;
    assert_true(h2_session_wants_send(end->session));
    assert_true(h2_session_send(end->session));
    assert_false(h2_session_wants_send(end->session));
    assert_true(raw_take(end, RAW_SETTINGS, 0, &frame));
    static const uint8_t EXPECTED[] = {
        0, 4, 0, 0x10, 0,    0, // INITIAL_WINDOW_SIZE
        0, 6, 0, 0,    0x40, 0, // MAX_HEADER_LIST_SIZE
        0, 3, 0, 0,    4,    0, // MAX_CONCURRENT_STREAMS
    };
    assert_int_equal(frame.payload.len, sizeof(EXPECTED));
    assert_memory_equal(frame.payload.ptr, EXPECTED, sizeof(EXPECTED));
    assert_true(raw_take(end, RAW_WINDOW, 0, &frame));
    assert_int_equal(raw_u32(frame.payload, 0), H2_SESSION_WINDOW - 65535);
    end_free(end);
}

static void test_authority_is_passed_verbatim(void **state) {
    (void)state;
    static const char *const FORMS[] = {
        "192.0.2.1:80", "[2001:db8::1]:80", "redis.example:6379", "192.0.2.1", ":80",
        "[::1]",        "a@b:80",           "999.1.1.1:99999",    "x",
    };
    struct end *end = server_new();
    struct buf in = {0};
    for (uint32_t i = 0; i < sizeof(FORMS) / sizeof(FORMS[0]); i++) {
        raw_request(&in, 2 * i + 1, "CONNECT", FORMS[i]);
        assert_true(raw_give(end, &in));
        assert_true(end->is_connect);
        assert_string_equal(end->authority, FORMS[i]);
    }
    end_free(end);
}

static void add_get(struct buf *in, uint32_t id, const char *method) {
    struct buf block = {0};
    raw_field(&block, ":method", method);
    raw_field(&block, ":scheme", "https");
    raw_field(&block, ":path", "/");
    raw_field(&block, ":authority", "192.0.2.1:80");
    raw_add(in, &(struct raw_frame){RAW_HEADERS, RAW_END_HEADERS, id, buf_span(&block)});
    buf_fini(&block);
}

static void test_other_methods_are_reported(void **state) {
    (void)state;
    static const char *const METHODS[] = {"GET", "POST", "connect", "AMETHODLONGERTHANWEKEEP"};
    struct end *end = server_new();
    struct raw_frame frame;
    struct buf in = {0};
    end->answer = 400;
    for (uint32_t i = 0; i < sizeof(METHODS) / sizeof(METHODS[0]); i++) {
        uint32_t id = 2 * i + 1;
        add_get(&in, id, METHODS[i]);
        assert_true(raw_give(end, &in));
        assert_int_equal(end->num_requests, i + 1);
        assert_false(end->is_connect);
        assert_memory_equal(end->method, METHODS[i], strlen(end->method));
        assert_true(raw_take(end, RAW_HEADERS, id, &frame));
        assert_true((frame.flags & RAW_END_STREAM) != 0);
        check_rst(end, id, H2_NO_ERROR); // the client had not ended
        assert_int_equal(h2_session_num_streams(end->session), 0);
    }
    end_free(end);
}

static void add_block(struct buf *in, uint32_t id, const char *const fields[], size_t num) {
    struct buf block = {0};
    for (size_t i = 0; i < num; i += 2) {
        raw_field(&block, fields[i], fields[i + 1]);
    }
    raw_add(in, &(struct raw_frame){RAW_HEADERS, RAW_END_HEADERS, id, buf_span(&block)});
    buf_fini(&block);
}

// RFC 9113 section 8.5: such a CONNECT is malformed, a stream error.
static void test_malformed_connect_is_reset(void **state) {
    (void)state;
    static const char *const A[] = {":method", "CONNECT", ":authority", "h:1", ":path", "/"};
    static const char *const B[] = {":method", "CONNECT", ":authority", "h:1", ":scheme", "https"};
    static const char *const C[] = {":method", "CONNECT", ":authority", "h:1", ":authority", "g:1"};
    static const char *const D[] = {":method", "CONNECT", "host", "h:1", "x", "y"};
    static const char *const E[] = {":method", "CONNECT", ":authority", "h:1", ":protocol", "ws"};
    static const char *const F[] = {":method", "CONNECT", ":authority", "h:1", "Upper", "case"};
    static const char *const G[] = {":method", "CONNECT", ":authority", "h 1", "x", "y"};
    static const char *const *const ALL[] = {A, B, C, D, E, F, G};
    struct end *end = server_new();
    struct buf in = {0};
    uint32_t id = 1;
    for (size_t i = 0; i < sizeof(ALL) / sizeof(ALL[0]); i++) {
        add_block(&in, id, ALL[i], 6);
        assert_true(raw_give(end, &in));
        check_rst(end, id, H2_PROTOCOL_ERROR);
        id += 2;
    }
    assert_int_equal(end->num_requests, 0);
    assert_int_equal(h2_session_num_streams(end->session), 0);
    check_alive(end, id);
    end_free(end);
}

static void test_display_headers_are_ignored(void **state) {
    (void)state;
    static const char *const FIELDS[] = {":method",   "CONNECT",      ":authority",  "192.0.2.1:80",
                                         "forwarded", "for=\"evil\"", "traceparent", "00-zz",
                                         "baggage",   "k=v",          "baggage",     "k=w"};
    struct end *end = server_new();
    struct buf in = {0};
    add_block(&in, 1, FIELDS, sizeof(FIELDS) / sizeof(FIELDS[0]));
    assert_true(raw_give(end, &in));
    assert_true(end->is_connect);
    assert_string_equal(end->authority, "192.0.2.1:80");
    end_free(end);
}

static void test_header_list_is_bounded(void **state) {
    (void)state;
    char value[400];
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    struct end *end = server_new();
    struct buf in = {0};
    struct buf block = {0};
    raw_field(&block, ":method", "CONNECT");
    raw_field(&block, ":authority", "192.0.2.1:80");
    while (buf_span(&block).len < 15900) {
        raw_field(&block, "x", value);
    }
    raw_add(&in, &(struct raw_frame){RAW_HEADERS, 0, 1, buf_span(&block)});
    buf_clear(&block);
    raw_field(&block, "x", value);
    raw_field(&block, "x", value);
    raw_add(&in, &(struct raw_frame){RAW_CONTINUATION, RAW_END_HEADERS, 1, buf_span(&block)});
    buf_fini(&block);
    assert_true(raw_give(end, &in));
    assert_int_equal(end->num_requests, 0);
    check_rst(end, 1, H2_ENHANCE_YOUR_CALM);
    check_alive(end, 3);
    end_free(end);
}

static void test_floods_end_the_session(void **state) {
    (void)state;
    struct buf in = {0};
    struct end *end = server_new(); // CONTINUATION without end
    raw_add(&in, &(struct raw_frame){.type = RAW_HEADERS, .id = 1});
    for (int i = 0; i < 20; i++) {
        raw_add(&in, &(struct raw_frame){.type = RAW_CONTINUATION, .id = 1});
    }
    check_broken(end, &in, H2_PROTOCOL_ERROR);
    end_free(end);

    end = server_new(); // PINGs whose answers nobody reads
    for (int i = 0; i < 1100; i++) {
        raw_add(&in, &(struct raw_frame){.type = RAW_PING, .payload = span_of("12345678", 8)});
    }
    check_broken(end, &in, H2_ENHANCE_YOUR_CALM);
    end_free(end);

    end = server_new(); // each costs an RST_STREAM
    for (uint32_t i = 0; i < 12000; i++) {
        raw_request(&in, 2 * i + 1, "CONNECT", NULL);
    }
    check_broken(end, &in, H2_ENHANCE_YOUR_CALM);
    end_free(end);
}

static void test_protocol_violations_end_the_session(void **state) {
    (void)state;
    struct buf in = {0};
    struct end *end = server_new();
    raw_add(&in, &(struct raw_frame){.type = RAW_DATA, .id = 7, .payload = span_of("x", 1)});
    check_broken(end, &in, H2_PROTOCOL_ERROR);
    assert_non_null(strstr(h2_session_error(end->session), "PROTOCOL_ERROR"));
    end_free(end);

    end = server_new(); // a window beyond 2^31 - 1
    raw_add_u32(&in, RAW_WINDOW, 0, 0x7fffffff);
    check_broken(end, &in, 0x3);
    end_free(end);

    end = end_new(true);
    assert_true(buf_append_text(&in, "GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
    check_broken(end, &in, H2_PROTOCOL_ERROR);
    assert_non_null(strstr(h2_session_error(end->session), "magic"));
    end_free(end);
}

static void test_data_beyond_the_window(void **state) {
    (void)state;
    static const uint8_t ZEROS[16384];
    struct end *end = server_new();
    struct buf in = {0};
    // No pattern is checked on a stream without argument; consumed by nobody.
    raw_add(&in, &(struct raw_frame){.type = RAW_SETTINGS, .flags = RAW_ACK});
    raw_request(&in, 1, "CONNECT", "192.0.2.1:80");
    assert_true(raw_give(end, &in));
    h2_stream_set_arg(end->flows[0].stream, NULL);
    for (int i = 0; i < 64; i++) {
        raw_add(&in, &(struct raw_frame){
                         .type = RAW_DATA, .id = 1, .payload = span_of(ZEROS, sizeof(ZEROS))});
    }
    assert_true(raw_give(end, &in)); // exactly the window
    raw_add(&in, &(struct raw_frame){.type = RAW_DATA, .id = 1, .payload = span_of(ZEROS, 1)});
    assert_true(raw_give(end, &in));
    check_rst(end, 1, 0x3);
    check_alive(end, 3);
    end_free(end);
}

static void test_too_many_streams(void **state) {
    (void)state;
    struct end *end = server_new();
    struct buf in = {0};
    for (uint32_t i = 0; i < H2_MAX_STREAMS + 5; i++) {
        raw_request(&in, 2 * i + 1, "CONNECT", "192.0.2.1:80");
        assert_true(raw_give(end, &in));
    }
    assert_int_equal(end->num_requests, H2_MAX_STREAMS);
    check_rst(end, 2 * H2_MAX_STREAMS + 1, H2_REFUSED_STREAM);
    end_free(end);
}

static void test_data_after_the_end(void **state) {
    (void)state;
    struct end *end = server_new();
    struct buf in = {0};
    struct raw_frame last = {.type = RAW_DATA, .flags = RAW_END_STREAM, .id = 1};
    raw_request(&in, 1, "CONNECT", "192.0.2.1:80");
    raw_add(&in, &last);
    assert_true(raw_give(end, &in));
    assert_int_equal(end->flows[0].num_ends, 1);
    raw_add(&in, &(struct raw_frame){.type = RAW_DATA, .id = 1, .payload = span_of("x", 1)});
    (void)raw_give(end, &in);
    assert_int_equal(end->flows[0].received, 0);
    assert_int_equal(end->flows[0].num_ends, 1);
    end_free(end);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings_announced),
        cmocka_unit_test(test_authority_is_passed_verbatim),
        cmocka_unit_test(test_other_methods_are_reported),
        cmocka_unit_test(test_malformed_connect_is_reset),
        cmocka_unit_test(test_display_headers_are_ignored),
        cmocka_unit_test(test_header_list_is_bounded),
        cmocka_unit_test(test_floods_end_the_session),
        cmocka_unit_test(test_protocol_violations_end_the_session),
        cmocka_unit_test(test_data_beyond_the_window),
        cmocka_unit_test(test_too_many_streams),
        cmocka_unit_test(test_data_after_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
