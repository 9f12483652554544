#include "agent/tls/edge_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char *WWW[] = {"www.x"};
static char *WILD[] = {"*.y"};
static char *ANY[] = {"*"};

static struct edge_certificate CERTIFICATES[] = {
    {.name = "rsa", .server_names = WWW, .num_server_names = 1, .kind = EDGE_KEY_RSA},
    {.name = "ec", .server_names = WWW, .num_server_names = 1, .kind = EDGE_KEY_P256},
    {.name = "wild", .server_names = WILD, .num_server_names = 1, .kind = EDGE_KEY_RSA},
    {.name = "any", .server_names = ANY, .num_server_names = 1, .kind = EDGE_KEY_RSA},
};

static const char *choose(const struct edge_server *server, const char *name, bool ecdsa) {
    struct client_hello hello = {.takes_rsa = true, .takes_ecdsa_256 = ecdsa};
    const char *why = NULL;
    snprintf(hello.server_name, sizeof(hello.server_name), "%s", name);
    const struct edge_certificate *cert = edge_server_choose(server, &hello, &why);
    assert_non_null(why);
    return cert == NULL ? "none" : cert->name;
}

static void test_by_name(void **state) {
    (void)state;
    struct edge_server server = {.certificates = CERTIFICATES, .num_certificates = 4};
    assert_string_equal(choose(&server, "www.x", false), "rsa");
    assert_string_equal(choose(&server, "www.x", true), "ec");
    assert_string_equal(choose(&server, "a.y", true), "wild");
    assert_string_equal(choose(&server, "a.b.y", true), "any"); // one label only
    assert_string_equal(choose(&server, ".y", true), "any");
    assert_string_equal(choose(&server, "y", true), "any");
    server.num_certificates = 3;
    assert_string_equal(choose(&server, "a.b.y", true), "none");
}

static void test_without_a_name(void **state) {
    (void)state;
    struct edge_server server = {.certificates = CERTIFICATES, .num_certificates = 3};
    assert_string_equal(choose(&server, "", true), "none");
    server.fallback_name = "WWW.x";
    assert_string_equal(choose(&server, "", true), "ec");
    server = (struct edge_server){.certificates = CERTIFICATES, .num_certificates = 1};
    assert_string_equal(choose(&server, "", true), "rsa"); // the only one
    assert_string_equal(choose(&server, "zzz", true), "none");
}

static void expect_ciphers(const char *ciphers, const char *why) {
    struct edge_server server = {0};
    struct err err = {0};
    assert_int_equal(edge_server_finish(&server, ciphers, &err), why == NULL);
    assert_true(why == NULL || strstr(err.msg, why) != NULL);
    edge_server_fini(&server);
}

static void test_ciphers(void **state) {
    (void)state;
    expect_ciphers(NULL, NULL);
    expect_ciphers("ECDHE-RSA-AES256-GCM-SHA384", NULL);
    expect_ciphers("ECDHE-RSA-AES256-GCM-SHA384:nonsense", "ciphers: ");
    expect_ciphers("AES128-GCM-SHA256", "ciphers: AES128-GCM-SHA256 is not allowed");
    expect_ciphers("ECDHE-RSA-AES128-SHA", "ciphers: ECDHE-RSA-AES128-SHA is not allowed");
    expect_ciphers("DES-CBC3-SHA", "ciphers: DES-CBC3-SHA is not allowed");
    assert_int_equal(edge_server_suite("TLS_AES_256_GCM_SHA384"), 0x1302);
    assert_int_equal(edge_server_suite("ECDHE-RSA-AES128-GCM-SHA256"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_name),
        cmocka_unit_test(test_without_a_name),
        cmocka_unit_test(test_ciphers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
