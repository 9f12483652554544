// HTTP/1.1 through the edge: what the application sees, what the client sees, and who closes.
#include "agent/http/http_edge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/http/edge_rig.h"

#define OK_2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"

static struct rig *plain(void) {
    return rig_new(&(struct rig_setup){.client = HTTP_VERSION_ANY});
}

static void test_keep_alive_on_one_connection(void **state) {
    (void)state;
    OWNED(rig_free) struct rig *rig = plain();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rig_send_text(rig, "GET /a?b HTTP/1.1\r\nhost: h\r\nX-A: 1\r\n"
                                            "Connection: keep-alive\r\n\r\n"),
                         0);
        assert_true(rig_app_got(rig, 0, "GET /a?b HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n\r\n"));
        assert_false(http_edge_wants_input(rig->edge));
        rig_app_text(rig, 0, OK_2 "hi");
        assert_true(rig_client_got(rig, OK_2 "hi"));
        assert_true(http_edge_wants_input(rig->edge));
    }
    assert_int_equal(rig->num_backs, 1);
    assert_int_equal(http_edge_num_requests(rig->edge), 3);
    http_edge_end(rig->edge);
    assert_int_equal(http_edge_state(rig->edge), HTTP_EDGE_OVER);
}

// Whatever the pieces, the application gets one request at a time and the answers keep their order.
static void test_pipelining(void **state) {
    (void)state;
    static const char REQUESTS[] = "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"
                                   "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
                                   "HEAD /3 HTTP/1.1\r\nHost: h\r\n\r\n"
                                   "GET /4 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
                                   "GET /5 HTTP/1.1\r\nHost: h\r\n\r\n";
    for (size_t piece = 1; piece < sizeof(REQUESTS); piece++) {
        OWNED(rig_free) struct rig *rig = plain();
        rig->piece = piece;
        rig->app = rig_app_ok;
        assert_int_equal(rig_send_text(rig, REQUESTS), 0);
        assert_true(rig_client_got(
            rig, OK_2 "ok" OK_2 "ok" OK_2
                      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"));
        assert_int_equal(http_edge_state(rig->edge), HTTP_EDGE_FINISHED);
        assert_int_equal(http_edge_num_requests(rig->edge), 4);
    }
}

static void test_chunked_bodies(void **state) {
    (void)state;
    OWNED(rig_free) struct rig *rig = plain();
    assert_int_equal(rig_send_text(rig, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: CHUNKED"
                                        "\r\n\r\n5;x=y\r\nhello\r\n0\r\nX-T: 1\r\n"
                                        "X_Ssl_Client_S_DN: me\r\nContent-Length: 5\r\n\r\n"),
                     0);
    assert_true(rig_app_got(rig, 0,
                            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
                            "\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"));
    rig_app_text(rig, 0,
                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-U\r\n\r\n"
                 "3\r\nabc\r\n0\r\nX-U: 2\r\n\r\n");
    assert_true(rig_client_got(rig, "HTTP/1.1 200 OK\r\nTrailer: X-U\r\nTransfer-Encoding: chunked"
                                    "\r\n\r\n3\r\nabc\r\n0\r\nX-U: 2\r\n\r\n"));
    assert_int_equal(http_edge_state(rig->edge), HTTP_EDGE_OPEN);
}

static void test_answer_without_length(void **state) {
    (void)state;
    OWNED(rig_free) struct rig *rig = plain();
    (void)rig_send_text(rig, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_app_text(rig, 0, "HTTP/1.0 200 OK\r\n\r\nsome");
    rig_app_end(rig, 0);
    assert_true(rig_client_got(rig, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                    "4\r\nsome\r\n0\r\n\r\n"));
    assert_int_equal(http_edge_state(rig->edge), HTTP_EDGE_OPEN);
    (void)rig_send_text(rig, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); // on another connection
    rig_app_text(rig, 1, OK_2 "hi");
    assert_true(rig_client_got(rig, OK_2 "hi"));
}

static void test_http_1_0(void **state) {
    (void)state;
    OWNED(rig_free) struct rig *rig = plain();
    (void)rig_send_text(rig, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_true(rig_app_got(rig, 0, "GET / HTTP/1.1\r\nHost: \r\n\r\n"));
    rig_app_text(rig, 0, "HTTP/1.1 100 Continue\r\n\r\n" OK_2 "hi");
    assert_true(rig_client_got(
        rig, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi"));
    (void)rig_send_text(rig, "GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n");
    rig_app_text(rig, 0,
                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    assert_true(rig_client_got(rig, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi"));
    assert_int_equal(http_edge_state(rig->edge), HTTP_EDGE_FINISHED);
}

static void test_answers_without_body(void **state) {
    (void)state;
    static const char *const CASES[][3] = {
        {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
         "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
        {"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
         "HTTP/1.1 200 OK\r\n\r\n"},
        {"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n",
         "HTTP/1.1 204 No Content\r\n\r\n"},
        {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
         "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"},
        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
         "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        OWNED(rig_free) struct rig *rig = plain();
        char request[64];
        snprintf(request, sizeof(request), "%s / HTTP/1.1\r\nHost: h\r\n\r\n", CASES[i][0]);
        for (int again = 0; again < 2; again++) {
            (void)rig_send_text(rig, request);
            rig_app_text(rig, 0, CASES[i][1]);
            assert_true(rig_client_got(rig, CASES[i][2]));
        }
        assert_int_equal(http_edge_state(rig->edge), HTTP_EDGE_OPEN);
    }
}

static void test_expect(void **state) {
    (void)state;
    OWNED(rig_free) struct rig *rig = plain();
    (void)rig_send_text(rig, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
                             "Expect: 100-continue\r\n\r\n");
    assert_true(rig_app_got(rig, 0,
                            "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
                            "Expect: 100-continue\r\n\r\n"));
    rig_app_text(rig, 0, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_true(rig_client_got(rig, "HTTP/1.1 100 Continue\r\n\r\n"));
    assert_true(http_edge_wants_input(rig->edge));
    (void)rig_send_text(rig, "ab");
    assert_true(rig_app_got(rig, 0, "ab"));
    rig_app_text(rig, 0, OK_2 "hi");
    assert_true(rig_client_got(rig, OK_2 "hi"));
    assert_int_equal(http_edge_state(rig->edge), HTTP_EDGE_OPEN);
}

// The application refuses the body: nothing that follows it may be taken for a request.
static void test_answer_before_the_body(void **state) {
    (void)state;
    OWNED(rig_free) struct rig *rig = plain();
    (void)rig_send_text(rig, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 90\r\n\r\nabc");
    rig_app_text(rig, 0, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    assert_true(rig_client_got(rig, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n"
                                    "Connection: close\r\n\r\n"));
    assert_int_equal(http_edge_state(rig->edge), HTTP_EDGE_FINISHED);
    assert_null(rig->backs[0].back);
    assert_int_equal(rig_send_text(rig, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 0);
    assert_int_equal(rig->num_backs, 1);
    http_edge_end(rig->edge);
    assert_int_equal(http_edge_state(rig->edge), HTTP_EDGE_OVER);
}

static void upgrade(struct rig *rig) {
    (void)rig_send_text(rig, "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
                             "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: k\r\n\r\n");
    assert_true(rig_app_got(rig, 0,
                            "GET /ws HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Key: k\r\n"
                            "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"));
}

static void test_websocket(void **state) {
    (void)state;
    OWNED(rig_free) struct rig *rig = plain();
    upgrade(rig);
    rig_app_text(rig, 0,
                 "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                 "Upgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\n\x81\x01z");
    assert_true(rig_client_got(rig, "HTTP/1.1 101 Switching Protocols\r\n"
                                    "Sec-WebSocket-Accept: a\r\nUpgrade: websocket\r\n"
                                    "Connection: Upgrade\r\n\r\n\x81\x01z"));
    (void)rig_send_text(rig, "GET / HTTP/1.1\r\n\r\nraw");
    assert_true(rig_app_got(rig, 0, "GET / HTTP/1.1\r\n\r\nraw"));
    http_edge_end(rig->edge); // the client's FIN passes, the other direction lives on
    rig_pump(rig);
    assert_true(rig->backs[0].finished);
    assert_int_equal(http_edge_state(rig->edge), HTTP_EDGE_OPEN);
    rig_app_text(rig, 0, "late");
    assert_true(rig_client_got(rig, "late"));
    rig_app_end(rig, 0);
    assert_int_equal(http_edge_state(rig->edge), HTTP_EDGE_OVER);
}

static void test_upgrade_declined_or_not_asked_for(void **state) {
    (void)state;
    OWNED(rig_free) struct rig *rig = plain();
    upgrade(rig);
    rig_app_text(rig, 0, OK_2 "no");
    assert_true(rig_client_got(rig, OK_2 "no"));
    (void)rig_send_text(rig, "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\n"
                             "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAA\r\n\r\n");
    assert_true(rig_app_got(rig, 0, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    rig_app_text(rig, 0, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n");
    assert_int_equal(rig->reason, HTTP_REASON_APP_ANSWER);
    assert_int_equal(rig->status, 502);
    assert_memory_equal(buf_span(&rig->client).ptr, "HTTP/1.1 502 ", 13);
}

static void test_back_pressure(void **state) {
    (void)state;
    OWNED(rig_free) struct rig *rig = plain();
    static uint8_t block[300000];
    (void)rig_send_text(rig, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n");
    rig->unconnected = true; // takes nothing from now on
    size_t left = rig_send(rig, span_of(block, sizeof(block)));
    assert_int_equal(sizeof(block) - left, HTTP_EDGE_OUT_MAX);
    assert_false(http_edge_wants_input(rig->edge));
    rig->unconnected = false;
    rig_pump(rig);
    assert_int_equal(rig_send(rig, span_of(block, left)), 0);
    // And the other way: what the client does not take stays with the application.
    assert_int_equal(
        http_back_receive(rig->backs[0].back,
                          span_of_text("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n")),
        43);
    size_t taken = http_back_receive(rig->backs[0].back, span_of(block, sizeof(block)));
    assert_true(taken > 0 && taken <= HTTP_EDGE_OUT_MAX);
    assert_false(http_back_wants_input(rig->backs[0].back));
    rig_pump(rig);
    assert_true(http_back_wants_input(rig->backs[0].back));
    rig_app(rig, 0, span_of(block, sizeof(block) - taken));
    assert_int_equal(http_edge_state(rig->edge), HTTP_EDGE_OPEN);
}

static void test_facts_about_the_client(void **state) {
    (void)state;
    struct http_fields facts = {.num = 0};
    assert_int_equal(http_fields_set(&facts, "X-Ssl-Client-S-DN", span_of_text("CN=a")),
                     HTTP_FIELDS_OK);
    struct http_caller caller = {.tls = true, .client = HTTP_CLIENT_VERIFIED, .facts = &facts};
    static const char REQUEST[] = "GET / HTTP/1.1\r\nHost: h\r\nx_ssl_client_s_dn: CN=b\r\n"
                                  "X-Forwarded-Client-Cert: Hash=1\r\n\r\n";
    OWNED(rig_free) struct rig *rig = rig_new(&(struct rig_setup){.caller = &caller});
    (void)rig_send_text(rig, REQUEST);
    assert_true(
        rig_app_got(rig, 0, "GET / HTTP/1.1\r\nHost: h\r\nX-Ssl-Client-S-DN: CN=a\r\n\r\n"));
    caller.client = HTTP_CLIENT_REFUSED; // an exempted URI: what nobody has verified is not told
    OWNED(rig_free) struct rig *other = rig_new(&(struct rig_setup){.caller = &caller});
    (void)rig_send_text(other, REQUEST);
    assert_true(rig_app_got(other, 0, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    http_fields_fini(&facts);
}

static void test_policy_answers(void **state) {
    (void)state;
    const struct http_rule rule = {.path_prefix = "/v1", .strip_prefix = true};
    const struct http_policy_setup policy = {.rules = &rule, .num_rules = 1};
    OWNED(rig_free) struct rig *rig = rig_new(&(struct rig_setup){.policy = &policy});
    (void)rig_send_text(rig, "GET /v2 HTTP/1.1\r\nHost: h\r\n\r\n"
                             "GET /v1/x HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_memory_equal(buf_span(&rig->client).ptr, "HTTP/1.1 404 Not Found\r\n", 24);
    assert_int_equal(rig->reason, HTTP_REASON_NO_RULE);
    assert_true(rig_app_got(rig, 0, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n"));
    buf_clear(&rig->client);
    rig->caller.requires_client = true;
    rig->caller.client = HTTP_CLIENT_NONE;
    rig_app_text(rig, 0, OK_2 "ok");
    buf_clear(&rig->client);
    (void)rig_send_text(rig, "POST /v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nGET / HT");
    static const char HEAD[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n"
                               "Content-Length: 154\r\nConnection: close\r\n\r\n";
    assert_int_equal(rig->client.len, sizeof(HEAD) - 1 + 154);
    assert_memory_equal(buf_span(&rig->client).ptr, HEAD, sizeof(HEAD) - 1);
    assert_int_equal(http_edge_state(rig->edge), HTTP_EDGE_FINISHED);
    assert_int_equal(rig->num_backs, 1);
}

static void test_drain(void **state) {
    (void)state;
    OWNED(rig_free) struct rig *idle = plain();
    http_edge_close_idle(idle->edge);
    assert_int_equal(http_edge_state(idle->edge), HTTP_EDGE_FINISHED);
    OWNED(rig_free) struct rig *busy = plain();
    (void)rig_send_text(busy, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    http_edge_close_idle(busy->edge);
    assert_int_equal(http_edge_state(busy->edge), HTTP_EDGE_OPEN);
    rig_app_text(busy, 0, OK_2 "hi");
    assert_true(rig_client_got(
        busy, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"));
    assert_int_equal(http_edge_state(busy->edge), HTTP_EDGE_FINISHED);
}

// The client has sent it before it could know: on a new connection, and on one that was kept alive.
static void test_request_on_its_way_while_draining(void **state) {
    (void)state;
    for (int before = 0; before < 2; before++) {
        OWNED(rig_free) struct rig *rig = plain();
        rig->app = rig_app_ok;
        for (int i = 0; i < before; i++) {
            (void)rig_send_text(rig, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        }
        http_edge_drain(rig->edge);
        assert_int_equal(http_edge_state(rig->edge), HTTP_EDGE_OPEN);
        buf_clear(&rig->client);
        (void)rig_send_text(rig, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_true(rig_client_got(
            rig, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"));
        assert_int_equal(http_edge_state(rig->edge), HTTP_EDGE_FINISHED);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep_alive_on_one_connection),
        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_chunked_bodies),
        cmocka_unit_test(test_answer_without_length),
        cmocka_unit_test(test_http_1_0),
        cmocka_unit_test(test_answers_without_body),
        cmocka_unit_test(test_expect),
        cmocka_unit_test(test_answer_before_the_body),
        cmocka_unit_test(test_websocket),
        cmocka_unit_test(test_upgrade_declined_or_not_asked_for),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_facts_about_the_client),
        cmocka_unit_test(test_policy_answers),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_request_on_its_way_while_draining),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
