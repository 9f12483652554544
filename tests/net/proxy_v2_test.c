#include "agent/net/proxy_v2.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct netaddr addr(const char *text) {
    struct netaddr out;
    assert_true(netaddr_parse(&out, span_of_text(text), NULL));
    return out;
}

static void round_trip(const char *source, const char *destination,
                       const struct proxy_v2_tls *tls) {
    struct netaddr from = addr(source);
    struct netaddr to = addr(destination);
    struct buf header = {0};
    struct proxy_v2_source got;
    assert_true(proxy_v2_render(&from, &to, tls, &header));
    struct span bytes = buf_span(&header);
    assert_int_equal(proxy_v2_length(bytes.ptr), bytes.len);
    assert_true(proxy_v2_parse(bytes, &got));
    assert_true(netaddr_equal(&got.source, &from) && netaddr_equal(&got.destination, &to));
    for (size_t len = 0; len < bytes.len; len++) {
        assert_false(proxy_v2_parse(span_of(bytes.ptr, len), &got));
    }
    buf_fini(&header);
}

static void test_round_trips(void **state) {
    (void)state;
    struct proxy_v2_tls tls = {.version = "TLSv1.3",
                               .cipher = "TLS_AES_128_GCM_SHA256",
                               .common_name = "svc-a",
                               .identity = "spiffe://example.org/a",
                               .server_name = "www.x",
                               .alpn = {(const uint8_t *)"h2", 2}};
    round_trip("192.0.2.1:40000", "192.0.2.2:443", NULL);
    round_trip("[2001:db8::1]:40000", "[2001:db8::2]:443", NULL);
    round_trip("192.0.2.1:40000", "192.0.2.2:443", &tls);
}

// haproxy's document, byte for byte.
static void test_the_bytes(void **state) {
    (void)state;
    static const uint8_t expected[] = {
        0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x21, 0x11,
        0x00, 0x2a, 192,  0,    2,    1,    192,  0,    2,    2,    0x9c, 0x40, 0x01, 0xbb,
        0x20, 0x00, 0x1b, 0x07, 0,    0,    0,    0,    0x21, 0x00, 0x07, 'T',  'L',  'S',
        'v',  '1',  '.',  '3',  0x22, 0x00, 0x05, 's',  'v',  'c',  '-',  'a'};
    struct netaddr from = addr("192.0.2.1:40000");
    struct netaddr to = addr("192.0.2.2:443");
    struct proxy_v2_tls tls = {.version = "TLSv1.3", .common_name = "svc-a"};
    struct buf header = {0};
    assert_true(proxy_v2_render(&from, &to, &tls, &header));
    uint8_t wanted[sizeof(expected)];
    memcpy(wanted, expected, sizeof(wanted));
    wanted[15] = (uint8_t)(sizeof(expected) - PROXY_V2_FIXED);
    wanted[30] = (uint8_t)(sizeof(expected) - 31);
    assert_int_equal(header.len, sizeof(wanted));
    assert_memory_equal(buf_span(&header).ptr, wanted, sizeof(wanted));
    buf_fini(&header);
}

static void test_families_that_differ(void **state) {
    (void)state;
    struct netaddr from = addr("192.0.2.1:40000");
    struct netaddr to = addr("[2001:db8::2]:443");
    struct buf header = {0};
    struct proxy_v2_source got;
    assert_true(proxy_v2_render(&from, &to, NULL, &header));
    assert_true(proxy_v2_parse(buf_span(&header), &got));
    assert_int_equal(got.source.port, 40000);
    buf_fini(&header);
}

static void test_what_does_not_fit(void **state) {
    (void)state;
    char name[PROXY_V2_MAX];
    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    struct netaddr from = addr("192.0.2.1:40000");
    struct proxy_v2_tls tls = {.identity = name};
    struct buf header = {0};
    assert_false(proxy_v2_render(&from, &from, &tls, &header));
    buf_fini(&header);
}

static void test_refusals(void **state) {
    (void)state;
    uint8_t header[PROXY_V2_FIXED + 12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51,
                                           0x55, 0x49, 0x54, 0x0a, 0x21, 0x11, 0x00, 12};
    struct proxy_v2_source got;
    struct span all = span_of(header, sizeof(header));
    header[PROXY_V2_FIXED + 9] = 1; // a port
    assert_true(proxy_v2_parse(all, &got));
    header[12] = 0x20;
    assert_true(proxy_v2_parse(all, &got) && got.is_local);
    header[12] = 0x11; // version 1
    assert_false(proxy_v2_parse(all, &got));
    header[12] = 0x21;
    header[13] = 0x12; // UDP
    assert_false(proxy_v2_parse(all, &got));
    header[13] = 0x11;
    header[14] = 0xff; // longer than anybody needs
    assert_int_equal(proxy_v2_length(header), 0);
    assert_false(proxy_v2_parse(all, &got));
    header[0] = 'P';
    assert_int_equal(proxy_v2_length(header), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_the_bytes),
        cmocka_unit_test(test_families_that_differ),
        cmocka_unit_test(test_what_does_not_fit),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
