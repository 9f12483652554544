#include "agent/intercept/redirect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/config/config.h"
#include "base/buf.h"
#include "base/span.h"

static struct config *parse(const char *text) {
    struct buf errors = {0};
    struct buf warnings = {0};
    struct config *config = config_parse("test", span_of_text(text), &errors, &warnings);
    buf_fini(&errors);
    buf_fini(&warnings);
    assert_non_null(config);
    return config;
}

static void check(struct redirect redirect, uint16_t port_v4, bool has_v4, uint16_t port_v6,
                  bool has_v6) {
    assert_true(redirect.is_on);
    assert_int_equal(redirect.port_v4, port_v4);
    assert_int_equal(redirect.has_v4, has_v4);
    assert_int_equal(redirect.port_v6, port_v6);
    assert_int_equal(redirect.has_v6, has_v6);
}

static void check_outbound(const char *text, uint16_t port_v4, bool has_v4, uint16_t port_v6,
                           bool has_v6) {
    struct config *config = parse(text);
    check(redirect_outbound(&config->outbound), port_v4, has_v4, port_v6, has_v6);
    config_unref(config);
}

static void check_inbound(const char *text, uint16_t port_v4, bool has_v4, uint16_t port_v6,
                          bool has_v6) {
    struct config *config = parse(text);
    check(redirect_inbound(&config->inbound), port_v4, has_v4, port_v6, has_v6);
    config_unref(config);
}

static void test_ports_follow_the_listeners(void **state UNUSED) {
    check_outbound("{}", 15001, true, 15001, true);
    check_outbound("outbound: {listen: [\"0.0.0.0:1\", \"[::]:2\"]}", 1, true, 2, true);
    // The first that takes what is redirected, not the first of the family.
    check_outbound("outbound: {listen: [\"10.0.0.1:1\", \"127.0.0.1:2\", \"[::1]:3\"]}", 2, true, 3,
                   true);
    check_inbound("{}", 15006, true, 15006, true);
    check_inbound("inbound: {listen: [\"127.0.0.1:1\", \"10.0.0.1:2\", \"[::]:3\"]}", 2, true, 3,
                  true);
}

// What has no listener is redirected to where nobody answers: refused, not leaked.
static void test_family_without_listener_is_still_captured(void **state UNUSED) {
    check_outbound("outbound: {listen: [\"127.0.0.1:15001\"]}", 15001, true, 15001, false);
    check_outbound("outbound: {listen: [\"[::1]:15001\"]}", 15001, false, 15001, true);
    check_outbound("outbound: {listen: [\"10.0.0.1:15001\"]}", 15001, false, 15001, false);
    check_outbound("outbound: {listen: [\"127.0.0.2:15001\"]}", 15001, false, 15001, false);
    check_inbound("inbound: {listen: [\"[::]:15006\"]}", 15006, false, 15006, true);
    check_inbound("inbound: {listen: [\"127.0.0.1:15006\"]}", 15006, false, 15006, false);
}

static void test_no_listener_no_redirect(void **state UNUSED) {
    struct config *config = parse("outbound: {listen: []}\ninbound: {listen: []}");
    assert_false(redirect_outbound(&config->outbound).is_on);
    assert_false(redirect_inbound(&config->inbound).is_on);
    config_unref(config);
}

static void check_warnings(const char *text, const char *wanted) {
    struct config *config = parse(text);
    struct buf warnings = {0};
    assert_true(redirect_render_warnings(config, &warnings));
    assert_true(buf_append(&warnings, "", 1));
    assert_string_equal((const char *)buf_span(&warnings).ptr, wanted);
    buf_fini(&warnings);
    config_unref(config);
}

static void test_warnings(void **state UNUSED) {
    check_warnings("{}", "");
    check_warnings("outbound: {listen: [\"127.0.0.1:15001\"]}\ninbound: {listen: []}",
                   "outbound.listen has no listener on [::1]: IPv6 connections are captured and "
                   "then refused\n");
    check_warnings("outbound: {listen: [\"10.0.0.1:1\", \"[::1]:1\"]}\ninbound: {listen: []}",
                   "outbound.listen has no listener on 127.0.0.1: IPv4 connections are captured "
                   "and then refused\n");
    check_warnings("outbound: {listen: []}\ninbound: {listen: [\"10.0.0.1:1\"]}",
                   "inbound.listen has no listener on [::]: IPv6 connections are captured and then "
                   "refused\n"
                   "inbound.listen: 10.0.0.1:1 takes only connections that come in on the "
                   "interface with this address\n");
    check_warnings("outbound: {listen: []}\ninbound: {listen: []}",
                   "outbound.listen and inbound.listen are empty: nothing is redirected\n");
}

static void test_a_host_is_warned_about_ssh(void **state UNUSED) {
    check_warnings("intercept: {appUids: [1001]}",
                   "intercept.inbound: connections to every port of this host are captured, port "
                   "22 (ssh) too; includePorts or excludePorts limits that\n");
    check_warnings("intercept: {appUids: [1001], inbound: {excludePorts: [20-25]}}", "");
    check_warnings("intercept: {appUids: [1001], inbound: {includePorts: [80]}}", "");
    check_warnings("intercept: {appUids: [1001]}\ninbound: {listen: []}", "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ports_follow_the_listeners),
        cmocka_unit_test(test_family_without_listener_is_still_captured),
        cmocka_unit_test(test_no_listener_no_redirect),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_a_host_is_warned_about_ssh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
