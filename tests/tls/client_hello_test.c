#include "agent/tls/client_hello.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "base/buf.h"

static void put(struct buf *out, uint16_t type, const void *body, size_t len) {
    uint8_t head[4] = {(uint8_t)(type >> 8), (uint8_t)type, (uint8_t)(len >> 8), (uint8_t)len};
    assert_true(buf_append(out, head, sizeof(head)) && (len == 0 || buf_append(out, body, len)));
}

static void put_name(struct buf *out, const char *name, size_t len) {
    uint8_t body[300] = {(uint8_t)((len + 3) >> 8), (uint8_t)(len + 3), 0, (uint8_t)(len >> 8),
                         (uint8_t)len};
    memcpy(body + 5, name, len);
    put(out, TLSEXT_TYPE_server_name, body, len + 5);
}

static bool parse(struct buf *extensions, struct client_hello *out) {
    static const uint8_t suites[] = {0x13, 0x01, 0xc0, 0x2f}; // one of 1.3, one of RSA
    struct client_hello_parts parts = {.cipher_suites = span_of(suites, sizeof(suites)),
                                       .extensions = buf_span(extensions),
                                       .max_version = TLS1_3_VERSION};
    bool ok = client_hello_parse(&parts, out);
    buf_fini(extensions);
    return ok;
}

static void test_names(void **state) {
    (void)state;
    struct client_hello hello;
    struct buf all = {0};
    put_name(&all, "WWW.Example.ORG.", 16);
    assert_true(parse(&all, &hello));
    assert_string_equal(hello.server_name, "www.example.org");
    assert_true(parse(&all, &hello)); // none at all
    assert_string_equal(hello.server_name, "");
    assert_true(hello.takes_rsa && !hello.takes_ecdsa_256);
}

static void test_names_that_are_none(void **state) {
    (void)state;
    struct client_hello hello;
    struct buf all = {0};
    put_name(&all, "", 0);
    assert_false(parse(&all, &hello));
    put_name(&all, ".", 1);
    assert_false(parse(&all, &hello));
    put_name(&all, "a\0b", 3);
    assert_false(parse(&all, &hello));
    put_name(&all, "a b", 3);
    assert_false(parse(&all, &hello));
    put_name(&all, "a", 1);
    put_name(&all, "b", 1); // twice
    assert_false(parse(&all, &hello));
    static const uint8_t two[] = {0, 8, 0, 0, 1, 'a', 0, 0, 1, 'b'}; // two in one
    put(&all, TLSEXT_TYPE_server_name, two, sizeof(two));
    assert_false(parse(&all, &hello));
    static const uint8_t type[] = {0, 4, 1, 0, 1, 'a'}; // of another type
    put(&all, TLSEXT_TYPE_server_name, type, sizeof(type));
    assert_false(parse(&all, &hello));
}

static void test_keys(void **state) {
    (void)state;
    struct client_hello hello;
    struct buf all = {0};
    static const uint8_t algorithms[] = {0, 4, 0x04, 0x03, 0x08, 0x04};
    static const uint8_t versions[] = {2, 0x03, 0x04};
    put(&all, TLSEXT_TYPE_signature_algorithms, algorithms, sizeof(algorithms));
    put(&all, TLSEXT_TYPE_supported_versions, versions, sizeof(versions));
    assert_true(parse(&all, &hello));
    assert_true(hello.takes_ecdsa_256 && hello.takes_rsa && !hello.takes_ecdsa_384);
    // Without TLS 1.3 the suites decide, and there is none for ECDSA.
    put(&all, TLSEXT_TYPE_signature_algorithms, algorithms, sizeof(algorithms));
    assert_true(parse(&all, &hello));
    assert_true(!hello.takes_ecdsa_256 && hello.takes_rsa);
}

static void test_cut_short(void **state) {
    (void)state;
    struct buf all = {0};
    struct client_hello hello;
    put_name(&all, "www.example.org", 15);
    for (size_t len = 1; len < all.len; len++) {
        struct client_hello_parts parts = {.extensions = span_of(buf_span(&all).ptr, len)};
        assert_false(client_hello_parse(&parts, &hello));
    }
    buf_fini(&all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_names_that_are_none),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_cut_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
