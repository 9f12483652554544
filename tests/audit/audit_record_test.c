// Records as lines: the fields of each kind, and text from hostile certificates.
#include "agent/audit/audit_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/span.h"
#include "tests/base/prng.h"

static struct netaddr address(const char *text) {
    struct netaddr addr;
    assert_true(netaddr_parse(&addr, span_of_text(text), NULL));
    return addr;
}

static void expect(const struct audit_record *record, const char *line) {
    char out[AUDIT_LINE_MAX + 1];
    size_t len = audit_record_render(record, out);
    assert_true(len < AUDIT_LINE_MAX);
    out[len] = '\0';
    assert_string_equal(out, line);
}

static void test_each_kind(void **state) {
    (void)state;
    struct audit_record record = {.event = AUDIT_NEW_CONN,
                                  .id = 7,
                                  .source = address("10.0.0.9:39338"),
                                  .destination = address("[::1]:8443"),
                                  .transport = "direct",
                                  .bytes_sent = 99};
    expect(&record, "\"new_conn\":{\"id\":7,\"srcip\":\"10.0.0.9\",\"srcp\":\"39338\","
                    "\"trgip\":\"::1\",\"trgp\":\"8443\",\"transport\":\"direct\"}}\n");
    record = (struct audit_record){.event = AUDIT_AUTH,
                                   .id = 7,
                                   .status = "refused",
                                   .has_peer = true,
                                   .peer_subject = "CN=a",
                                   .peer_serial = "0a",
                                   .verify_error = "untrusted",
                                   .server_name = "",
                                   .tls_version = "TLSv1.3",
                                   .rule = "clientCerts",
                                   .detail = "no"};
    expect(&record, "\"auth\":{\"id\":7,\"status\":\"refused\",\"peer_subject\":\"CN=a\","
                    "\"peer_serial\":\"0a\",\"peer_verified\":false,\"verify_error\":\"untrusted\","
                    "\"tls_version\":\"TLSv1.3\",\"rule\":\"clientCerts\",\"detail\":\"no\"}}\n");
    record = (struct audit_record){.event = AUDIT_REQUEST_REFUSED,
                                   .id = 7,
                                   .http_status = 400,
                                   .reason = "no_client_certificate"};
    expect(&record, "\"request_refused\":{\"id\":7,\"http_status\":400,"
                    "\"reason\":\"no_client_certificate\"}}\n");
    record = (struct audit_record){.event = AUDIT_CLOSE_CONN,
                                   .id = 7,
                                   .bytes_sent = 3,
                                   .bytes_received = 4,
                                   .duration_ms = 5,
                                   .reason = "done"};
    expect(&record, "\"close_conn\":{\"id\":7,\"bytes_sent\":3,\"bytes_received\":4,"
                    "\"duration_ms\":5,\"reason\":\"done\"}}\n");
}

// Two lines, a broken string, control characters, bytes that are no UTF-8: all stays one string.
static void test_hostile_text(void **state) {
    (void)state;
    struct audit_record record = {.event = AUDIT_AUTH,
                                  .status = "refused",
                                  .peer_subject =
                                      "CN=\"}}\n{\\\x1b\x7f\xc3\xa9\xff\xf0\x9f\x98\x80"};
    expect(&record,
           "\"auth\":{\"id\":0,\"status\":\"refused\",\"peer_subject\":"
           "\"CN=\\u0022}}\\u000a{\\u005c\\u001b\\u007f\\u00e9\\ufffd\\ud83d\\ude00\"}}\n");
}

static void fill(struct prng *prng, char *text, size_t cap) {
    size_t len = (size_t)prng_below(prng, cap);
    for (size_t i = 0; i < len; i++) {
        text[i] = (char)(1 + prng_below(prng, 255));
    }
    text[len] = '\0';
}

// Quotes are balanced where no text can hold one of its own, and nothing but ASCII is in a line.
static void check_shape(const char *line, size_t len) {
    size_t num_quotes = 0;
    assert_true(len > 3 && memcmp(line + len - 3, "}}\n", 3) == 0);
    for (size_t i = 0; i + 1 < len; i++) {
        assert_true(line[i] >= ' ' && line[i] < 0x7f);
        num_quotes += line[i] == '"';
    }
    assert_int_equal(num_quotes % 2, 0);
}

static void test_any_text_is_one_line(void **state) {
    (void)state;
    struct prng prng = prng_new();
    char text[4][6000];
    char out[AUDIT_LINE_MAX];
    bool was_cut = false;
    for (int i = 0; i < 3000; i++) {
        for (size_t j = 0; j < 4; j++) {
            fill(&prng, text[j], sizeof(text[j]));
        }
        struct audit_record record = {.event = AUDIT_AUTH,
                                      .status = "refused",
                                      .peer_subject = text[0],
                                      .username = text[1],
                                      .server_name = text[2],
                                      .detail = text[3]};
        size_t len = audit_record_render(&record, out);
        assert_true(len <= sizeof(out));
        check_shape(out, len);
        was_cut |= memmem(out, len, ",\"truncated\":true}}\n", 20) != NULL;
    }
    assert_true(was_cut);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind),
        cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_any_text_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
