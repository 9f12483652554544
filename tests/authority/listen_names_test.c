// The names in the TLS server's certificate are those it is reached by.
#include "authority/listen_names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/span.h"

static struct netaddr addr_of(const char *text) {
    struct netaddr addr;
    struct err err;
    assert_true(netaddr_parse(&addr, span_of_text(text), &err));
    return addr;
}

static bool has_ip(const struct listen_names *names, const char *text) {
    struct netaddr ip;
    struct err err;
    bool found = false;
    assert_true(netaddr_parse_ip(&ip, span_of_text(text), &err));
    for (size_t i = 0; i < names->names.num_ips; i++) {
        found |= netaddr_ip_equal(&names->names.ip[i], &ip);
    }
    return found;
}

static bool has_dns(const struct listen_names *names, const char *text) {
    bool found = false;
    for (size_t i = 0; i < names->names.num_dns; i++) {
        found |= strcmp(names->names.dns[i], text) == 0;
    }
    return found;
}

static void loopback(void **state) {
    (void)state;
    struct netaddr listen = addr_of("127.0.0.1:15012");
    struct listen_names names;
    listen_names_load(&listen, &names);
    assert_int_equal(names.names.num_ips, 1);
    assert_int_equal(names.names.num_dns, 1);
    assert_true(has_ip(&names, "127.0.0.1") && has_dns(&names, "localhost"));
}

static void one_address(void **state) {
    (void)state;
    struct netaddr listen = addr_of("[2001:db8::1]:15012");
    struct listen_names names;
    listen_names_load(&listen, &names);
    assert_int_equal(names.names.num_ips, 1);
    assert_true(has_ip(&names, "2001:db8::1"));
    assert_false(has_dns(&names, "localhost"));
}

static void every_address(void **state) {
    (void)state;
    struct netaddr listen = addr_of("0.0.0.0:15012");
    struct listen_names names;
    listen_names_load(&listen, &names);
    assert_true(names.names.num_ips >= 1 && names.names.num_ips <= CERTIFICATE_NAMES_MAX);
    assert_true(has_ip(&names, "127.0.0.1") && has_dns(&names, "localhost"));
    assert_false(has_ip(&names, "0.0.0.0"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback),
        cmocka_unit_test(one_address),
        cmocka_unit_test(every_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
