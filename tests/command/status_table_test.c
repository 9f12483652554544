#include "agent/command/status_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS 1800000000000 // 2027-01-15T08:00:00Z

static char *render(const char *what, const char *json) {
    struct buf out = {0};
    struct err err = {0};
    if (!status_table_render(what, span_of_text(json), NOW_MS, &out, &err)) {
        fail_msg("%s", err.msg);
    }
    char *text = buf_take_text(&out);
    assert_non_null(text);
    return text;
}

static void check(const char *what, const char *json, const char *expected) {
    char *text = render(what, json);
    assert_string_equal(text, expected);
    free(text);
}

static void test_identity(void **state UNUSED) {
    check("identity",
          "{\"state\": \"valid\", \"svids\": [{\"spiffeId\": \"spiffe://a/b\", \"serial\": \"0f\","
          "\"notBefore\": \"2027-01-15T07:52:00Z\", \"notAfter\": \"2027-01-15T08:52:00Z\","
          "\"hint\": \"\"}], \"source\": {\"kind\": \"workloadApi\", \"state\": \"connecting\","
          "\"lastError\": \"no socket\"}, \"rotations\": 5}",
          "state        valid\n"
          "source       workloadApi, connecting\n"
          "last error   no socket\n"
          "rotations    5\n"
          "\n"
          "SPIFFE ID     SERIAL  SINCE   TIME LEFT  HINT\n"
          "spiffe://a/b  0f      8m ago  52m        -\n"
          "\n"
          "There is no chain.\n"
          "\n"
          "There is no trust bundle.\n");
    check("identity",
          "{\"state\": \"pending\", \"svids\": [], \"source\": {\"kind\": \"workloadApi\","
          "\"state\": \"connected\", \"lastError\": \"\"}, \"rotations\": 0}",
          "state        pending: there is no certificate yet\n"
          "source       workloadApi, connected\n"
          "rotations    0\n"
          "\n"
          "There is no certificate.\n"
          "\n"
          "There is no trust bundle.\n");
}

static void test_identity_in_full(void **state UNUSED) {
    check("identity",
          "{\"state\": \"valid\", \"svids\": [{\"spiffeId\": \"spiffe://a/b\", \"serial\": \"0f\","
          "\"notBefore\": \"2027-01-15T07:52:00Z\", \"notAfter\": \"2027-01-15T08:52:00Z\","
          "\"hint\": \"\", \"chain\": [{\"subject\": \"/CN=b\", \"serial\": \"0f\","
          "\"notAfter\": \"2027-01-15T08:52:00Z\"}, {\"subject\": \"/CN=ca\", \"serial\": \"1\","
          "\"notAfter\": \"2027-01-15T10:00:00Z\"}]}],"
          "\"source\": {\"kind\": \"istioCa\", \"state\": \"connected\", \"lastError\": \"\","
          "\"nextRenewal\": \"2027-01-15T08:20:00.000Z\"}, \"rotations\": 5,"
          "\"lastChange\": \"2027-01-15T07:52:00.000Z\", \"keptUntil\": \"2027-01-15T09:00:00Z\","
          "\"lastRefusal\": \"it has expired\", \"counts\": {\"refused\": 3, \"refusedBy\":"
          "{\"malformed\": 0, \"expired\": 2, \"untrusted\": 1}},"
          "\"bundles\": [{\"trustDomain\": \"a\", \"certificates\": 2,"
          "\"notAfter\": \"2027-01-15T10:00:00Z\"}]}",
          "state        valid\n"
          "source       istioCa, connected\n"
          "last refusal it has expired\n"
          "last change  8m ago\n"
          "next renewal in 20m\n"
          "kept bundles in use, end in 1h 0m\n"
          "rotations    5\n"
          "refused      3: 2 expired, 1 untrusted\n"
          "\n"
          "SPIFFE ID     SERIAL  SINCE   TIME LEFT  HINT\n"
          "spiffe://a/b  0f      8m ago  52m        -\n"
          "\n"
          "CHAIN   SERIAL  TIME LEFT\n"
          "/CN=b   0f      52m\n"
          "/CN=ca  1       2h 0m\n"
          "\n"
          "TRUST BUNDLE  CERTIFICATES  TIME LEFT\n"
          "a             2             2h 0m\n");
}

static void test_certificates(void **state UNUSED) {
    check("certs",
          "{\"certificates\": [{\"kind\": \"identity\", \"name\": \"n\", \"state\": \"expired\","
          "\"serial\": \"1\", \"notAfter\": \"2027-01-15T07:57:00Z\"},"
          "{\"kind\": \"configured\", \"name\": \"m\", \"state\": \"valid\","
          "\"notAfter\": \"2027-01-15T08:57:00Z\", \"staple\": {\"status\": \"good\"}}]}",
          "KIND        NAME  STATE    SERIAL  TIME LEFT       STAPLE\n"
          "identity    n     expired  1       expired 3m ago  -\n"
          "configured  m     valid    -       57m             good\n");
}

static void test_lists(void **state UNUSED) {
    check("listeners",
          "{\"listeners\": [{\"kind\": \"tunnel\", \"address\": \"0.0.0.0:15008\","
          "\"destination\": null, \"mode\": null, \"accepting\": true}], \"total\": 3,"
          "\"truncated\": true}",
          "KIND    ADDRESS        TO  MODE  ACCEPTING\n"
          "tunnel  0.0.0.0:15008  -   -     yes\n"
          "... of 3 in all\n");
    check("connections", "{\"connections\": []}", "No connection is open.\n");
    char *text =
        render("connections",
               "{\"connections\": [{\"id\": 7, \"bytesSent\": 1536,"
               "\"openedAt\": \"2027-01-15T07:59:48.500Z\", \"peerId\": \"p\\u001b[2J\"}]}");
    assert_non_null(strstr(text, "1.5 KiB"));
    assert_non_null(strstr(text, "12s ago"));
    assert_null(strchr(text, '\x1b'));
    free(text);
}

// Whatever answers on that port.
static void test_not_ours(void **state UNUSED) {
    static const char *const bad[] = {"", "hello", "[]", "{", "{\"a\": \"\xff\"}", "null"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct buf out = {0};
        struct err err = {0};
        assert_false(status_table_render("identity", span_of_text(bad[i]), NOW_MS, &out, &err));
        assert_int_equal(err.class, ERR_INPUT);
        buf_fini(&out);
    }
    free(render("identity", "{}"));
    free(render("identity", "{\"svids\": [1, null, [], {\"notAfter\": {}}], \"source\": 7}"));
    free(render("refusals", "{\"refusals\": {\"a\": 1}}"));
}

static void test_overview(void **state UNUSED) {
    struct span parts[STATUS_TABLE_NUM_PARTS] = {
        span_of_text("{\"state\": \"valid\", \"svids\": [{\"spiffeId\": \"spiffe://a/b\","
                     "\"notAfter\": \"2027-01-15T08:52:00Z\"}], \"source\":"
                     "{\"kind\": \"workloadApi\", \"state\": \"connected\", \"lastError\": \"\"}}"),
        span_of_text("{\"total\": 5}"),
        span_of_text("{\"total\": 2}"),
        span_of_text("{\"total\": 1}"),
        span_of_text("{\"total\": 1}"),
        span_of_text("{\"total\": 9, \"refusals\": [{\"at\": \"2027-01-15T07:59:55Z\","
                     "\"direction\": \"inbound\", \"sentence\": \"refused\", \"detail\": \"d\"}]}"),
    };
    struct buf out = {0};
    struct err err = {0};
    assert_true(status_table_overview(parts, NOW_MS, &out, &err));
    char *text = buf_take_text(&out);
    assert_string_equal(text, "identity     valid, spiffe://a/b, time left 52m\n"
                              "source       workloadApi, connected\n"
                              "listeners    5\n"
                              "connections  2\n"
                              "tunnels      1\n"
                              "destinations 1\n"
                              "refusals     9 kept; the last 5s ago, inbound: refused; d\n");
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),     cmocka_unit_test(test_identity_in_full),
        cmocka_unit_test(test_certificates), cmocka_unit_test(test_lists),
        cmocka_unit_test(test_not_ours),     cmocka_unit_test(test_overview),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
