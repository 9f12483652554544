// own_address against a kernel of our own: this program's getifaddrs takes the place of libc's.
#include "agent/net/own_address.h"

#include <errno.h>
#include <ifaddrs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/span.h"

#define MOST_INTERFACES 8

static struct {
    const char *ips[MOST_INTERFACES]; // up to the first NULL; "" is an interface without address
    bool fails;
    int num_reads;
} kernel;

struct fake_entry {
    struct ifaddrs entry;
    struct sockaddr_storage sa;
};

static struct netaddr ip_of(const char *text) {
    struct netaddr addr;
    struct err err = {0};
    assert_true(netaddr_parse_ip(&addr, span_of_text(text), &err));
    return addr;
}

int getifaddrs(struct ifaddrs **out) {
    kernel.num_reads++;
    if (kernel.fails) {
        errno = EMFILE;
        return -1;
    }
    *out = NULL;
    for (size_t i = 0; i < MOST_INTERFACES && kernel.ips[i] != NULL; i++) {
        struct fake_entry *fake = calloc(1, sizeof *fake);
        if (strcmp(kernel.ips[i], "packet") == 0) {
            fake->sa.ss_family = AF_PACKET;
        } else if (*kernel.ips[i] != '\0') {
            struct netaddr addr = ip_of(kernel.ips[i]);
            netaddr_to_sockaddr(&addr, &fake->sa);
        }
        fake->entry.ifa_addr = *kernel.ips[i] == '\0' ? NULL : (struct sockaddr *)(void *)&fake->sa;
        fake->entry.ifa_next = *out;
        *out = &fake->entry;
    }
    return 0;
}

void freeifaddrs(struct ifaddrs *entry) {
    while (entry != NULL) {
        struct ifaddrs *next = entry->ifa_next;
        free(entry);
        entry = next;
    }
}

static int set_up(void **state) {
    memset(&kernel, 0, sizeof kernel);
    *state = own_addresses_new();
    return *state == NULL;
}

static int tear_down(void **state) {
    own_addresses_free(*state);
    return 0;
}

static bool contains(void **state, const char *ip, int64_t now_ms) {
    struct netaddr addr = ip_of(ip);
    return own_addresses_contains(*state, &addr, now_ms);
}

static void test_loopback_is_own_without_asking(void **state) {
    kernel.fails = true;
    assert_true(contains(state, "127.0.0.1", 0));
    assert_true(contains(state, "127.255.1.2", 0));
    assert_true(contains(state, "::1", 0));
    assert_true(contains(state, "::ffff:127.0.0.6", 0));
    assert_int_equal(kernel.num_reads, 0);
}

static void test_addresses_of_interfaces_are_own(void **state) {
    kernel.ips[0] = "10.0.0.2";
    kernel.ips[1] = "";
    kernel.ips[2] = "packet";
    kernel.ips[3] = "2001:db8::2";
    kernel.ips[4] = "fe80::2%3";
    assert_true(contains(state, "10.0.0.2", 0));
    assert_true(contains(state, "::ffff:10.0.0.2", 0));
    assert_true(contains(state, "2001:db8::2", 0));
    assert_true(contains(state, "fe80::2%3", 0));
    assert_false(contains(state, "fe80::2%4", 0)); // another host on another link
    assert_false(contains(state, "fe80::2", 0));
    assert_false(contains(state, "10.0.0.3", 0));
    assert_false(contains(state, "0.0.0.0", 0));
    assert_false(contains(state, "::", 0));
    struct netaddr none = {0}, with_port = ip_of("10.0.0.2");
    with_port.port = 80;
    assert_false(own_addresses_contains(*state, &none, 0));
    assert_true(own_addresses_contains(*state, &with_port, 0));
    assert_int_equal(kernel.num_reads, 1);
}

static void test_new_addresses_are_found_within_a_second(void **state) {
    assert_false(contains(state, "10.0.0.2", 5000));
    kernel.ips[0] = "10.0.0.2";
    assert_false(contains(state, "10.0.0.2", 5999));
    assert_int_equal(kernel.num_reads, 1);
    assert_true(contains(state, "10.0.0.2", 6000));
    assert_int_equal(kernel.num_reads, 2);
}

static void test_removed_addresses_are_own_no_longer(void **state) {
    kernel.ips[0] = "10.0.0.2";
    assert_true(contains(state, "10.0.0.2", 0));
    kernel.ips[0] = "10.0.0.9";
    assert_true(contains(state, "10.0.0.2", 999));
    assert_false(contains(state, "10.0.0.2", 1000));
    assert_true(contains(state, "10.0.0.9", 1000));
}

static void test_asks_at_most_once_a_second(void **state) {
    for (int64_t now_ms = 0; now_ms < 10000; now_ms += 10) {
        assert_false(contains(state, "10.0.0.2", now_ms));
    }
    assert_int_equal(kernel.num_reads, 10);
    kernel.fails = true; // not more often when it goes wrong
    for (int64_t now_ms = 10000; now_ms < 20000; now_ms += 10) {
        assert_false(contains(state, "10.0.0.2", now_ms));
    }
    assert_int_equal(kernel.num_reads, 20);
}

static void test_no_answer_means_not_own(void **state) {
    kernel.ips[0] = "10.0.0.2";
    kernel.fails = true;
    assert_false(contains(state, "10.0.0.2", 0));
    kernel.fails = false;
    assert_true(contains(state, "10.0.0.2", 1000));
}

static void test_the_last_answer_serves_a_minute(void **state) {
    kernel.ips[0] = "10.0.0.2";
    assert_true(contains(state, "10.0.0.2", 0));
    kernel.fails = true;
    kernel.ips[1] = "10.0.0.3";
    assert_true(contains(state, "10.0.0.2", 59999));
    assert_false(contains(state, "10.0.0.3", 59999));
    assert_false(contains(state, "10.0.0.2", 61000));
    kernel.fails = false;
    assert_true(contains(state, "10.0.0.3", 62000));
}

static void test_free_accepts_null(void **state) {
    (void)state;
    own_addresses_free(NULL);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_loopback_is_own_without_asking),
        TEST(test_addresses_of_interfaces_are_own),
        TEST(test_new_addresses_are_found_within_a_second),
        TEST(test_removed_addresses_are_own_no_longer),
        TEST(test_asks_at_most_once_a_second),
        TEST(test_no_answer_means_not_own),
        TEST(test_the_last_answer_serves_a_minute),
        TEST(test_free_accepts_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
