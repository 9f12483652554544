// Who goes away when, and what the other side sees of it.
#include "agent/http/http_edge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/http/edge_rig.h"

#define OK_2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"

static struct rig *plain(void) {
    return rig_new(&(struct rig_setup){.client = HTTP_VERSION_ANY});
}

static void test_application_fails(void **state) {
    (void)state;
    static const struct {
        const char *answer;
        bool end;
        int status;
        const char *client; // begins with
        enum http_edge_state edge;
    } CASES[] = {
        {"", true, 502, "HTTP/1.1 502 Bad Gateway\r\n", HTTP_EDGE_OPEN},
        {"HTTP/1.1 200 OK\r\nContent-", true, 502, "HTTP/1.1 502 ", HTTP_EDGE_OPEN},
        {"garbage\r\n\r\n", false, 502, "HTTP/1.1 502 ", HTTP_EDGE_OPEN},
        {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", false, 502, "HTTP/1.1 502 ", HTTP_EDGE_OPEN},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", false, 502,
         "HTTP/1.1 502 ", HTTP_EDGE_OPEN},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", true, 502, "HTTP/1.1 200 OK\r\n",
         HTTP_EDGE_BROKEN},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nx\r\n", false, 502,
         "HTTP/1.1 200 OK\r\n", HTTP_EDGE_BROKEN},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        OWNED(rig_free) struct rig *rig = plain();
        (void)rig_send_text(rig, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        rig_app_text(rig, 0, CASES[i].answer);
        if (CASES[i].end) {
            rig_app_end(rig, 0);
        }
        rig_pump(rig);
        assert_int_equal(rig->status, CASES[i].status);
        assert_memory_equal(buf_span(&rig->client).ptr, CASES[i].client, strlen(CASES[i].client));
        assert_int_equal(http_edge_state(rig->edge), CASES[i].edge);
        assert_null(rig->backs[0].back);
    }
}

static void test_no_connection(void **state) {
    (void)state;
    OWNED(rig_free) struct rig *rig = plain();
    rig->unconnected = true;
    (void)rig_send_text(rig, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    http_back_lost(rig->backs[0].back, HTTP_REASON_APP_UNREACHABLE, "refused");
    rig_pump(rig);
    assert_memory_equal(buf_span(&rig->client).ptr, "HTTP/1.1 502 ", 13);
    assert_string_equal(rig->why, "refused");
    buf_clear(&rig->client);
    (void)rig_send_text(rig, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    http_back_lost(rig->backs[1].back, HTTP_REASON_APP_TIMEOUT, "too slow");
    rig_pump(rig);
    assert_memory_equal(buf_span(&rig->client).ptr, "HTTP/1.1 504 ", 13);
    buf_clear(&rig->client);
    rig->no_dial = true;
    (void)rig_send_text(rig, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_memory_equal(buf_span(&rig->client).ptr, "HTTP/1.1 503 ", 13);
}

// The application closes a connection that it kept open just when it is used again.
static void test_stale_connection(void **state) {
    (void)state;
    OWNED(rig_free) struct rig *rig = plain();
    (void)rig_send_text(rig, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_app_text(rig, 0, OK_2 "hi");
    buf_clear(&rig->client);
    (void)rig_send_text(rig, "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_app_end(rig, 0);
    assert_true(rig_app_got(rig, 1, "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n"));
    rig_app_text(rig, 1, OK_2 "yo");
    assert_true(rig_client_got(rig, OK_2 "yo"));
    assert_int_equal(rig->num_refused, 0);
    rig_app_end(rig, 1); // while idle: nobody is hurt
    assert_null(rig->backs[1].back);
    (void)rig_send_text(rig, "POST /3 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx");
    rig_app_text(rig, 2, OK_2 "ok");
    (void)rig_send_text(rig, "POST /4 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx");
    assert_int_equal(rig->num_backs, 4); // never asked twice, so on a fresh one
}

static void test_client_goes_away(void **state) {
    (void)state;
    OWNED(rig_free) struct rig *rig = plain();
    (void)rig_send_text(rig, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    http_edge_end(rig->edge);
    assert_int_equal(http_edge_state(rig->edge), HTTP_EDGE_BROKEN);
    assert_null(rig->backs[0].back); // the application sees a break, not a short body
    assert_false(rig->backs[0].clean);
    OWNED(rig_free) struct rig *half = plain();
    (void)rig_send_text(half, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    http_edge_end(half->edge); // asked everything, waits for the answer
    rig_app_text(half, 0, OK_2 "hi");
    assert_true(rig_client_got(
        half, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"));
    assert_int_equal(http_edge_state(half->edge), HTTP_EDGE_OVER);
}

// What the last answer was like says nothing about the next one.
static void test_refusal_after_a_chunked_answer(void **state) {
    (void)state;
    OWNED(rig_free) struct rig *rig = plain();
    (void)rig_send_text(rig, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_app_text(rig, 0,
                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    buf_clear(&rig->client);
    (void)rig_send_text(rig, "GET / HTTP/1.1\n\n");
    assert_true(buf_append(&rig->client, "", 1));
    const char *answer = (const char *)buf_span(&rig->client).ptr;
    assert_memory_equal(answer, "HTTP/1.1 400 ", 13);
    assert_non_null(strstr(answer, "Content-Length: "));
    assert_null(strstr(answer, "Transfer-Encoding"));
}

// To ask again what has taken too long would take as long again.
static void test_no_second_try_after_a_timeout(void **state) {
    (void)state;
    OWNED(rig_free) struct rig *rig = plain();
    (void)rig_send_text(rig, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_app_text(rig, 0, OK_2 "hi");
    buf_clear(&rig->client);
    (void)rig_send_text(rig, "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
    http_back_lost(rig->backs[0].back, HTTP_REASON_APP_TIMEOUT, "too slow");
    rig_pump(rig);
    assert_memory_equal(buf_span(&rig->client).ptr, "HTTP/1.1 504 ", 13);
    assert_int_equal(rig->num_backs, 1);
}

static void test_who_is_waited_for(void **state) {
    (void)state;
    OWNED(rig_free) struct rig *rig = plain();
    static uint8_t body[HTTP_EDGE_OUT_MAX];
    (void)rig_send_text(rig, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    struct http_back *back = rig->backs[0].back;
    assert_true(http_back_is_waiting(back) && !http_back_is_held(back));
    (void)http_back_receive(back,
                            span_of_text("HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n"));
    (void)http_back_receive(back, span_of(body, sizeof(body))); // and the client takes nothing
    assert_true(http_back_is_waiting(back) && http_back_is_held(back));
    rig_pump(rig);
    assert_true(http_back_is_waiting(back) && !http_back_is_held(back));
}

static void test_who_is_waited_for_in_a_request(void **state) {
    (void)state;
    OWNED(rig_free) struct rig *rig = plain();
    (void)rig_send_text(rig, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab");
    struct http_back *back = rig->backs[0].back;
    assert_true(http_back_is_starved(back) && !http_back_is_waiting(back));
    (void)rig_send_text(rig, "cd");
    assert_true(!http_back_is_starved(back) && http_back_is_waiting(back));
    rig_app_text(rig, 0, OK_2 "hi");
    (void)rig_send_text(rig, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab");
    back = rig->backs[1].back;
    (void)http_back_receive(back, span_of_text("HTTP/1.1 100 Continue\r\n\r\n"));
    assert_true(http_back_is_starved(back));
    http_back_lost(back, HTTP_REASON_CLIENT_TIMEOUT, "too slow");
    rig_pump(rig);
    assert_non_null(memmem(buf_span(&rig->client).ptr, rig->client.len,
                           "HTTP/1.1 408 Request Timeout\r\n", 30));
    assert_int_equal(http_edge_state(rig->edge), HTTP_EDGE_FINISHED);
}

// With Expect it is first the application's turn, then the client's.
static void test_who_is_waited_for_before_a_body(void **state) {
    (void)state;
    static const char ASK[] =
        "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    OWNED(rig_free) struct rig *rig = plain();
    (void)rig_send_text(rig, ASK);
    struct http_back *back = rig->backs[0].back;
    assert_true(http_back_is_waiting(back) && !http_back_is_starved(back));
    rig_app_text(rig, 0, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_true(!http_back_is_waiting(back) && http_back_is_starved(back));
    OWNED(rig_free) struct rig *hasty = plain();
    (void)rig_send_text(hasty, ASK);
    (void)rig_send_text(hasty, "ab"); // a client need not wait for ever
    back = hasty->backs[0].back;
    assert_true(!http_back_is_waiting(back) && http_back_is_starved(back));
}

// An answer that has begun may be as slow as it likes, and so may what was upgraded.
static void test_nobody_is_hurried_in_a_conversation(void **state) {
    (void)state;
    OWNED(rig_free) struct rig *rig = plain();
    (void)rig_send_text(rig, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab");
    rig_app_text(rig, 0, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    assert_false(http_back_is_starved(rig->backs[0].back));
    OWNED(rig_free) struct rig *raw = plain();
    (void)rig_send_text(raw, "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\n"
                             "Connection: Upgrade\r\n\r\n");
    rig_app_text(raw, 0, "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    assert_false(http_back_is_starved(raw->backs[0].back));
    assert_false(http_back_is_waiting(raw->backs[0].back));
}

// Both sides have said that they are done: nothing that is under way may be cut by a reset.
static void test_orderly_end_of_a_raw_connection(void **state) {
    (void)state;
    for (int app_first = 0; app_first < 2; app_first++) {
        OWNED(rig_free) struct rig *rig = plain();
        (void)rig_send_text(rig, "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\n"
                                 "Connection: Upgrade\r\n\r\n");
        rig_app_text(rig, 0, "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
        if (app_first) {
            rig_app_end(rig, 0);
        }
        http_edge_end(rig->edge);
        rig_pump(rig);
        if (!app_first) {
            rig_app_end(rig, 0);
        }
        assert_int_equal(http_edge_state(rig->edge), HTTP_EDGE_OVER);
        http_edge_free(take(&rig->edge));
        assert_true(rig->backs[0].clean);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_application_fails),
        cmocka_unit_test(test_no_connection),
        cmocka_unit_test(test_stale_connection),
        cmocka_unit_test(test_client_goes_away),
        cmocka_unit_test(test_refusal_after_a_chunked_answer),
        cmocka_unit_test(test_no_second_try_after_a_timeout),
        cmocka_unit_test(test_who_is_waited_for),
        cmocka_unit_test(test_who_is_waited_for_in_a_request),
        cmocka_unit_test(test_who_is_waited_for_before_a_body),
        cmocka_unit_test(test_nobody_is_hurried_in_a_conversation),
        cmocka_unit_test(test_orderly_end_of_a_raw_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
