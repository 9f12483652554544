#include "agent/config/text_checks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef bool check_fn(struct span text, struct err *err);

static void expect(check_fn *check, const char *text, bool good) {
    struct err err = {0};
    bool ok = check(span_of_text(text), &err);
    if (ok != good) {
        fail_msg("\"%s\": %s", text, ok ? "is accepted" : err.msg);
    }
    assert_int_equal(err.msg[0] == '\0', good);
}

static void test_dns_names(void **state) {
    (void)state;
    static const char *const good[] = {"a", "config.internal", "A-b.C9.example", "1.example", "9a"};
    static const char *const bad[] = {"",    ".",    "a.",       ".a",        "a..b", "-a",
                                      "a-",  "a_b",  "*.a",      "127.0.0.1", "1",    "a.1",
                                      "a b", "a:80", "\xc3\xa9", "a/b",       "::1"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        expect(text_checks_dns_name, good[i], true);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        expect(text_checks_dns_name, bad[i], false);
    }
    char label[65];
    memset(label, 'a', sizeof label);
    label[64] = '\0';
    expect(text_checks_dns_name, label, false);
    label[63] = '\0';
    expect(text_checks_dns_name, label, true);
    char name[300];
    snprintf(name, sizeof name, "%s.%s.%s.%.61s", label, label, label, label);
    expect(text_checks_dns_name, name, true); // 253
    snprintf(name, sizeof name, "%s.%s.%s.%.62s", label, label, label, label);
    expect(text_checks_dns_name, name, false);
    struct err err;
    assert_false(text_checks_dns_name(span_of("a\0b", 3), &err));
}

static void test_interfaces_cannot_reach_rule_text(void **state) {
    (void)state;
    expect(text_checks_interface, "eth0", true);
    expect(text_checks_interface, "veth-1.2_x", true);
    expect(text_checks_interface, "abcdefghijklmno", true);
    expect(text_checks_interface, "abcdefghijklmnop", false);
    static const char *const bad[] = {"",   ".",    "..",  "a;b", "a\"b",    "a b",
                                      "a{", "a\nb", "a/b", "a*",  "\xc3\xa9"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        expect(text_checks_interface, bad[i], false);
    }
}

static void test_paths_and_labels(void **state) {
    (void)state;
    expect(text_checks_path, "/a", true);
    expect(text_checks_path, "a", false);
    expect(text_checks_path, "", false);
    expect(text_checks_label, "config-server", true);
    expect(text_checks_label, "", false);
    expect(text_checks_label, "0123456789012345678901234567890123456789012345678901234567890123",
           true);
    expect(text_checks_label, "01234567890123456789012345678901234567890123456789012345678901234",
           false);
    expect(text_checks_spiffe_id, "spiffe://example.org/a", true);
    expect(text_checks_spiffe_id, "spiffe://example.org/*", false);
}

static void test_hosts_and_ports(void **state) {
    (void)state;
    static const char *const good[] = {"istiod.istio-system.svc:15012", "10.0.0.1:1", "a:65535",
                                       "[::1]:15012"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        expect(text_checks_host_port, good[i], true);
    }
    static const char *const bad[] = {"",        "a",         ":1",    "a:",   "a:0",
                                      "a:65536", "a:01",      "a:1:2", "-a:1", "a:1 ",
                                      "a_b:1",   "::1:15012", "a:-1",  "a:1x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        expect(text_checks_host_port, bad[i], false);
    }
    expect(text_checks_audit_address, "collector.example:514", true);
    expect(text_checks_audit_address, "[::1]:514", true);
    expect(text_checks_audit_address, "unix:///run/audit.sock", true);
    expect(text_checks_audit_address, "unix:/run/audit.sock", false);
    expect(text_checks_audit_address, "unix:run:1", false);
    expect(text_checks_audit_address, "/run/audit.sock", false);
    expect(text_checks_audit_address, "tcp://10.0.0.1:1", false);
    expect(text_checks_audit_address, "", false);
    expect(text_checks_host, "::1", true);
    expect(text_checks_host, "10.0.0.1", true);
    expect(text_checks_host, "ca.example.org", true);
    expect(text_checks_host, "10.0.0.1:2", false);
    expect(text_checks_host, "", false);
    expect(text_checks_host, "10.0.0.256", false);
}

static void test_resources(void **state) {
    (void)state;
    char name[2050];
    memset(name, 'a', sizeof name);
    name[2049] = '\0';
    expect(text_checks_resource, name, false);
    name[2048] = '\0';
    expect(text_checks_resource, name, true);
    expect(text_checks_resource, "spiffe://example.org/web", true);
    expect(text_checks_resource, "", false);
}

static void test_probe_texts(void **state) {
    (void)state;
    expect(text_checks_container, "web-1", true);
    expect(text_checks_container, "", false);
    expect(text_checks_container, "-a", false);
    expect(text_checks_container, "a-", false);
    expect(text_checks_container, "Web", false);
    expect(text_checks_container, "a/b", false);
    expect(text_checks_request_path, "/", true);
    expect(text_checks_request_path, "/a?b=%20", true);
    expect(text_checks_request_path, "a", false);
    expect(text_checks_request_path, "/a b", false);
    expect(text_checks_request_path, "/a\r\nHost: x", false);
    expect(text_checks_request_path, "/\xc3\xa9", false);
    expect(text_checks_header, "X-A: b", true);
    expect(text_checks_header, "X-A:", true);
    expect(text_checks_header, ": b", false);
    expect(text_checks_header, "X A: b", false);
    expect(text_checks_header, "X-A: b\r\nC: d", false);
    expect(text_checks_header, "X-A", false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probe_texts),
        cmocka_unit_test(test_dns_names),
        cmocka_unit_test(test_interfaces_cannot_reach_rule_text),
        cmocka_unit_test(test_paths_and_labels),
        cmocka_unit_test(test_hosts_and_ports),
        cmocka_unit_test(test_resources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
