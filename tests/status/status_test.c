#include "agent/status/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "tests/status/metrics_check.h"
#include "tests/status/status_fixture.h"

static void test_routes(void **state) {
    struct status_fixture *f = *state;
    static const struct {
        const char *method, *target;
        unsigned on_status, on_health;
        const char *type;
    } rows[] = {
        {"GET", "/", 200, 404, "text/html; charset=utf-8"},
        {"GET", "/livez", 200, 200, "text/plain; charset=utf-8"},
        {"GET", "/readyz", 200, 200, "text/plain; charset=utf-8"},
        {"GET", "/healthz/ready", 200, 200, "text/plain; charset=utf-8"},
        {"GET", "/startupz", 200, 200, "text/plain; charset=utf-8"},
        {"GET", "/metrics", 200, 200, "text/plain; version=0.0.4; charset=utf-8"},
        {"GET", "/stats/prometheus", 200, 200, "text/plain; version=0.0.4; charset=utf-8"},
        {"GET", "/identity", 200, 404, "application/json"},
        {"GET", "/certs", 200, 404, "application/json"},
        {"GET", "/listeners", 200, 404, "application/json"},
        {"GET", "/connections", 200, 404, "application/json"},
        {"GET", "/tunnels", 200, 404, "application/json"},
        {"GET", "/destinations", 200, 404, "application/json"},
        {"GET", "/refusals", 200, 404, "application/json"},
        {"GET", "/config", 200, 404, "application/json"},
        {"GET", "/trust", 200, 404, "application/json"},
        {"GET", "/trust?all", 200, 404, "application/json"},
        {"GET", "/nothing", 404, 404, "text/plain; charset=utf-8"},
        {"GET", "//", 404, 404, "text/plain; charset=utf-8"},
        {"GET", "/identity/", 404, 404, "text/plain; charset=utf-8"},
        {"GET", "/%69dentity", 404, 404, "text/plain; charset=utf-8"},
        {"GET", "/livez/../identity", 404, 404, "text/plain; charset=utf-8"},
        {"HEAD", "/metrics", 200, 200, "text/plain; version=0.0.4; charset=utf-8"},
        {"POST", "/identity", 405, 404, "text/plain; charset=utf-8"},
        {"DELETE", "/metrics", 405, 405, "text/plain; charset=utf-8"},
        {"GET", "/rotate", 405, 404, "text/plain; charset=utf-8"},
        {"GET", "/drain", 405, 404, "text/plain; charset=utf-8"},
        {"GET", "/logging?level=debug", 405, 404, "text/plain; charset=utf-8"},
        {"HEAD", "/quitquitquit", 405, 404, "text/plain; charset=utf-8"},
        {"GET", "/destinations/forget?address=10.0.0.1", 405, 404, "text/plain; charset=utf-8"},
        {"POST", "/quitquitquit", 404, 404, "text/plain; charset=utf-8"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char type[128];
        HTTP_REPLY reply = http_probe_simple(f->loop, &f->status, rows[i].method, rows[i].target);
        if (reply.status != rows[i].on_status) {
            fail_msg("%s %s: %u", rows[i].method, rows[i].target, reply.status);
        }
        (void)snprintf(type, sizeof(type), "\r\nContent-Type: %s\r\n", rows[i].type);
        assert_non_null(strstr(reply.head, type));
        assert_non_null(strstr(reply.head, "\r\nX-Content-Type-Options: nosniff\r\n"));
        assert_non_null(strstr(reply.head, "\r\nContent-Security-Policy: default-src 'none'"));
        assert_int_equal(strcmp(rows[i].method, "HEAD") == 0, reply.body[0] == '\0');
        assert_int_equal(status_fixture_ask(f, &f->health, rows[i].method, rows[i].target),
                         rows[i].on_health);
    }
    assert_int_equal(f->fake.num_rotate + f->fake.num_drain + f->fake.num_quit + f->fake.num_forget,
                     0); // none of that changed anything
}

static void test_allow(void **state) {
    struct status_fixture *f = *state;
    HTTP_REPLY get = http_probe_simple(f->loop, &f->status, "GET", "/rotate");
    assert_non_null(strstr(get.head, "\r\nAllow: POST\r\n"));
    HTTP_REPLY post = http_probe_simple(f->loop, &f->status, "POST", "/identity");
    assert_non_null(strstr(post.head, "\r\nAllow: GET, HEAD\r\n"));
}

static void test_ready(void **state) {
    struct status_fixture *f = *state;
    HTTP_REPLY ready = http_probe_simple(f->loop, &f->status, "GET", "/readyz");
    assert_string_equal(ready.body, "ready\n");
    HTTP_REPLY verbose = http_probe_simple(f->loop, &f->status, "GET", "/readyz?verbose");
    assert_string_equal(verbose.body, "[+]listeners ok\n[+]identity ok\nready\n");
}

static void test_not_ready(void **state) {
    struct status_fixture *f = *state;
    f->fake.checks[1].ready = false;
    (void)snprintf(f->fake.checks[1].pending, 256, "the source does not answer");
    HTTP_REPLY startup = http_probe_simple(f->loop, &f->status, "GET", "/startupz");
    assert_int_equal(startup.status, 503);
    HTTP_REPLY pending = http_probe_simple(f->loop, &f->health, "GET", "/healthz/ready");
    assert_int_equal(pending.status, 503);
    assert_string_equal(pending.body, "identity: the source does not answer\n");
    HTTP_REPLY verbose = http_probe_simple(f->loop, &f->status, "GET", "/readyz?verbose");
    assert_int_equal(verbose.status, 503);
    assert_string_equal(verbose.body, "[+]listeners ok\n[-]identity: the source does not answer\n"
                                      "not ready\n");
}

// Once ready, started for good.
static void test_startup_is_latched(void **state) {
    struct status_fixture *f = *state;
    f->fake.checks[0].ready = false;
    assert_int_equal(status_fixture_ask(f, &f->status, "GET", "/startupz"), 503);
    f->fake.checks[0].ready = true;
    assert_int_equal(status_fixture_ask(f, &f->status, "GET", "/startupz"), 200);
    f->fake.checks[0].ready = false;
    assert_int_equal(status_fixture_ask(f, &f->status, "GET", "/startupz"), 200);
    assert_int_equal(status_fixture_ask(f, &f->status, "GET", "/readyz"), 503);
}

static void test_alive(void **state) {
    struct status_fixture *f = *state;
    f->fake.alive = false;
    HTTP_REPLY reply = http_probe_simple(f->loop, &f->health, "GET", "/livez");
    assert_int_equal(reply.status, 503);
    assert_string_equal(reply.body, "worker 1 has not turned for 7s\n");
}

static void test_metrics(void **state) {
    struct status_fixture *f = *state;
    HTTP_REPLY reply = http_probe_simple(f->loop, &f->health, "GET", "/metrics");
    char why[512];
    if (!metrics_check(reply.body, why, sizeof(why))) {
        fail_msg("%s", why);
    }
}

static void test_own_listeners(void **state) {
    struct status_fixture *f = *state;
    char address[NETADDR_TEXT_MAX];
    HTTP_REPLY reply = http_probe_simple(f->loop, &f->status, "GET", "/listeners");
    assert_non_null(strstr(reply.body, "\"explicit\""));
    assert_non_null(strstr(reply.body, "\"status\""));
    assert_non_null(strstr(reply.body, "\"health\""));
    assert_non_null(strstr(reply.body, netaddr_format(&f->status, address)));
}

static void test_posts(void **state) {
    struct status_fixture *f = *state;
    assert_int_equal(status_fixture_ask(f, &f->status, "POST", "/rotate"), 200);
    assert_int_equal(f->fake.num_rotate, 1);
    f->fake.rotate_error = "there is no source";
    HTTP_REPLY refused = http_probe_simple(f->loop, &f->status, "POST", "/rotate");
    assert_int_equal(refused.status, 503);
    assert_string_equal(refused.body, "there is no source\n");
    assert_int_equal(status_fixture_ask(f, &f->status, "POST", "/drain"), 200);
    assert_int_equal(status_fixture_ask(f, &f->status, "POST", "/drain"), 200);
    assert_int_equal(f->fake.num_drain, 2);
    assert_int_equal(status_fixture_ask(f, &f->status, "POST", "/quitquitquit"), 404);
    assert_int_equal(f->fake.num_quit, 0);
    f->fake.config.status.quit = true;
    assert_int_equal(status_fixture_ask(f, &f->status, "POST", "/quitquitquit"), 200);
    assert_int_equal(f->fake.num_quit, 1);
}

static void test_forget(void **state) {
    struct status_fixture *f = *state;
    static const struct {
        const char *target;
        unsigned status;
    } rows[] = {
        {"/destinations/forget?address=10.0.0.1", 200},
        {"/destinations/forget?address=10.0.0.1:6379", 200},
        {"/destinations/forget?address=10.0.0.2", 404},
        {"/destinations/forget?address=%3a%3a1", 404},
        {"/destinations/forget?address=redis", 400},
        {"/destinations/forget?address=", 400},
        {"/destinations/forget", 400},
        {"/destinations/forget?address=10.0.0.1%00", 400},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(status_fixture_ask(f, &f->status, "POST", rows[i].target), rows[i].status);
    }
    assert_int_equal(f->fake.num_forget, 4);
    assert_int_equal(f->fake.forgotten.port, 0);
}

static void test_logging(void **state) {
    struct status_fixture *f = *state;
    enum log_level before = log_get_level();
    assert_int_equal(status_fixture_ask(f, &f->status, "POST", "/logging?level=debug"), 200);
    assert_int_equal(log_get_level(), LOG_DEBUG);
    assert_int_equal(status_fixture_ask(f, &f->status, "POST", "/logging?level=loud"), 400);
    assert_int_equal(status_fixture_ask(f, &f->status, "POST", "/logging"), 400);
    assert_int_equal(log_get_level(), LOG_DEBUG);
    log_set_level(before);
}

// Every state-changing and every reading path, asked as a web page or through a rebound name.
static void test_cross_site(void **state) {
    struct status_fixture *f = *state;
    static const struct {
        const char *headers;
        unsigned status;
    } rows[] = {
        {"Host: evil.example:15020\r\n", 421},
        {"Host: localhost.evil.example\r\n", 421},
        {"Host:\r\n", 421},
        {"", 421},
        {"Host: localhost\r\nHost: evil.example\r\n", 400},
        {"Host: localhost\r\nOrigin: http://evil.example\r\n", 403},
        {"Host: localhost\r\nOrigin: null\r\n", 403},
        {"Host: localhost\r\nOrigin:\r\n", 403},
        {"Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", 403},
        {"Host: localhost\r\nSec-Fetch-Site: same-site\r\n", 403},
        {"Host: localhost\r\nsec-FETCH-site: cross-site\r\n", 403},
    };
    static const char *const lines[] = {
        "GET /config",           "GET /",       "GET /metrics",
        "GET /nothing",          "POST /drain", "POST /destinations/forget?address=10.0.0.1",
        "POST /logging?level=x", "POST /rotate"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t j = 0; j < sizeof(lines) / sizeof(lines[0]); j++) {
            char request[512];
            (void)snprintf(request, sizeof(request), "%s HTTP/1.1\r\n%sConnection: close\r\n\r\n",
                           lines[j], rows[i].headers);
            HTTP_REPLY reply = http_probe_ask(f->loop, &f->status, request);
            assert_int_equal(reply.status, rows[i].status);
        }
    }
    assert_int_equal(f->fake.num_rotate + f->fake.num_drain + f->fake.num_forget, 0);
}

static void test_health_ignores_host(void **state) {
    struct status_fixture *f = *state;
    HTTP_REPLY reply = http_probe_ask(f->loop, &f->health,
                                      "GET /readyz HTTP/1.1\r\n"
                                      "Host: pod.example\r\n"
                                      "Connection: close\r\n\r\n");
    assert_int_equal(reply.status, 200);
}

static void test_smuggled(void **state) {
    struct status_fixture *f = *state;
    static const char *const requests[] = {
        "POST /logging HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nTransfer-Encoding: "
        "chunked\r\n\r\n0\r\n\r\nPOST /drain HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /logging HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: "
        "0\r\n\r\nPOST /drain HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\nPOST /drain HTTP/1.1\r\nHost: "
        "localhost\r\n\r\n",
        // a body is not a request
        "POST /logging HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: "
        "41\r\n\r\nPOST /drain HTTP/1.1\r\nHost: localhost\r\n\r\n",
        // a pipelined request is judged by its own headers
        "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nPOST /drain HTTP/1.1\r\nHost: "
        "evil.example\r\nConnection: close\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        HTTP_REPLY reply = http_probe_ask(f->loop, &f->status, requests[i]);
        assert_true(reply.status == 200 || reply.status == 400);
        assert_int_equal(f->fake.num_drain, 0);
    }
}

static void test_page(void **state) {
    struct status_fixture *f = *state;
    HTTP_REPLY one = http_probe_simple(f->loop, &f->status, "GET", "/");
    HTTP_REPLY two = http_probe_simple(f->loop, &f->status, "GET", "/");
    char nonces[2][33];
    char expected[64];
    assert_int_equal(sscanf(strstr(one.head, "'nonce-"), "'nonce-%32[0-9a-f]'", nonces[0]), 1);
    assert_int_equal(sscanf(strstr(two.head, "'nonce-"), "'nonce-%32[0-9a-f]'", nonces[1]), 1);
    assert_string_not_equal(nonces[0], nonces[1]);
    (void)snprintf(expected, sizeof(expected), "<script nonce=\"%s\">", nonces[0]);
    assert_non_null(strstr(one.body, expected));
    assert_true(strlen(one.body) < 50000);
}

// No answer shows the private key of the identity: /identity and /config are allow-lists.
static void test_no_secret(void **state) {
    struct status_fixture *f = *state;
    static const char *const targets[] = {"/", "/identity", "/certs", "/config", "/metrics"};
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        HTTP_REPLY reply = http_probe_simple(f->loop, &f->status, "GET", targets[i]);
        assert_null(strcasestr(reply.body, "private"));
        assert_null(strstr(reply.body, "BEGIN"));
    }
}

static void test_config_says_what_came_of_the_sandbox(void **state) {
    struct status_fixture *f = *state;
    HTTP_REPLY reply = http_probe_simple(f->loop, &f->status, "GET", "/config");
    assert_non_null(
        strstr(reply.body, ",\"sandboxLayers\":{\"landlock\":false,\"seccomp\":true}}\n"));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, status_fixture_start, status_fixture_stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_routes),        TEST(test_config_says_what_came_of_the_sandbox),
        TEST(test_allow),         TEST(test_ready),
        TEST(test_not_ready),     TEST(test_startup_is_latched),
        TEST(test_alive),         TEST(test_metrics),
        TEST(test_own_listeners), TEST(test_posts),
        TEST(test_forget),        TEST(test_logging),
        TEST(test_cross_site),    TEST(test_health_ignores_host),
        TEST(test_smuggled),      TEST(test_page),
        TEST(test_no_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
