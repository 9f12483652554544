// Loading: what the files hold, and what is said when they are wrong.
#include "agent/edge/edge_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/edge/edge_inventory.h"
#include "base/file.h"
#include "certmgr/pem.h"
#include "tests/testing/pki.h"

struct world {
    char directory[64];
    struct pki_cert *ca, *server, *other;
    struct buf errors, warnings;
};

static void path_of(const struct world *w, const char *name, char out[128]) {
    snprintf(out, 128, "%s/%s", w->directory, name);
}

static void write_pem(const struct world *w, const char *name, const char *label, struct span der) {
    char path[128];
    struct buf pem = {0};
    path_of(w, name, path);
    assert_true(pem_render(label, der, &pem));
    assert_true(file_write_atomic(path, buf_span(&pem), 0600, NULL));
    buf_fini(&pem);
}

static int set_up(void **state) {
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    strcpy(w->directory, "/tmp/pavise-edge-XXXXXX");
    assert_non_null(mkdtemp(w->directory));
    struct pki_options www = {.dns = {span_of("WWW.x", 5), span_of("*.y", 3)}};
    struct pki_options past = {.ca = true, .not_after = PKI_NOT_BEFORE + 1};
    w->ca = pki_ca();
    w->server = pki_issue(w->ca, &www);
    w->other = pki_issue(w->ca, &(struct pki_options){0});
    OWNED(pki_free) struct pki_cert *expired = pki_issue(NULL, &past);
    write_pem(w, "ca.crt", "CERTIFICATE", pki_der(w->ca));
    write_pem(w, "old.crt", "CERTIFICATE", pki_der(expired));
    write_pem(w, "server.crt", "CERTIFICATE", pki_der(w->server));
    write_pem(w, "server.key", "PRIVATE KEY", pki_key_der(w->server));
    write_pem(w, "other.key", "PRIVATE KEY", pki_key_der(w->other));
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    static const char *const names[] = {"ca.crt", "old.crt", "server.crt", "server.key",
                                        "other.key"};
    struct world *w = *state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[128];
        path_of(w, names[i], path);
        unlink(path);
    }
    rmdir(w->directory);
    pki_free(w->ca);
    pki_free(w->server);
    pki_free(w->other);
    buf_fini(&w->errors);
    buf_fini(&w->warnings);
    free(w);
    return 0;
}

// A port with these keys; DIR in them is the directory.
static struct edge_set *load(struct world *w, const char *keys, const struct edge_set *before,
                             enum edge_expiry expiry) {
    struct buf text = {0};
    assert_true(buf_append_text(&text, "inbound: {ports: [{port: 8443, tlsMode: required, "));
    for (const char *at = keys; *at != '\0';) {
        bool dir = strncmp(at, "DIR", 3) == 0;
        assert_true(dir ? buf_append_text(&text, w->directory) : buf_append(&text, at, 1));
        at += dir ? 3 : 1;
    }
    assert_true(buf_append_text(&text, "}]}\n"));
    buf_clear(&w->errors);
    buf_clear(&w->warnings);
    struct config *config = config_parse("f", buf_span(&text), &w->errors, NULL);
    buf_fini(&text);
    if (config == NULL) {
        fail_msg("%.*s", (int)w->errors.len, (const char *)buf_span(&w->errors).ptr);
    }
    struct edge_load how = {.name = "f",
                            .before = before,
                            .expiry = expiry,
                            .errors = &w->errors,
                            .warnings = &w->warnings};
    struct edge_set *set = edge_set_load(config, &how);
    config_unref(config);
    assert_true((set == NULL) == (w->errors.len > 0));
    return set;
}

#define CERT "certificates: [{name: www, certFile: DIR/server.crt, keyFile: DIR/server.key"

static void test_a_port(void **state) {
    struct world *w = *state;
    OWNED(edge_set_unref)
    struct edge_set *set = load(w, CERT "}], clientCerts: [{file: DIR/ca.crt}], clientDepth: 3",
                                NULL, EDGE_EXPIRY_REFUSES);
    const struct edge_port *port = edge_set_find(set, 8443);
    assert_non_null(port);
    assert_null(edge_set_find(set, 8444));
    assert_null(edge_set_find(NULL, 8443));
    assert_int_equal(port->server.num_certificates, 1);
    const struct edge_certificate *cert = &port->server.certificates[0];
    assert_int_equal(cert->num_server_names, 2); // of the certificate itself
    assert_string_equal(cert->server_names[0], "www.x");
    assert_int_equal(cert->kind, EDGE_KEY_P256);
    assert_int_equal(cert->rules.auth, EDGE_AUTH_REQUIRED); // unsaid
    assert_int_equal(cert->rules.depth, 3);
    assert_int_equal(anchors_num(cert->rules.clients), 1);
    assert_false(cert->rules.by_spiffe);
}

static void test_workload_certificate(void **state) {
    OWNED(edge_set_unref)
    struct edge_set *set =
        load(*state, "clientAuth: optional, minVersion: '1.3'", NULL, EDGE_EXPIRY_REFUSES);
    const struct edge_server *server = &edge_set_find(set, 8443)->server;
    assert_int_equal(server->num_certificates, 0);
    assert_true(server->rules.by_spiffe);
    assert_int_equal(server->rules.auth, EDGE_AUTH_OPTIONAL);
    assert_int_equal(server->rules.min_version, EDGE_TLS_1_3);
}

static void expect_error(struct world *w, const char *keys, const char *what) {
    assert_null(load(w, keys, NULL, EDGE_EXPIRY_REFUSES));
    struct span said = buf_span(&w->errors);
    assert_memory_equal(said.ptr, "f:1:1: port 8443", 16);
    if (memmem(said.ptr, said.len, what, strlen(what)) == NULL) {
        fail_msg("\"%s\" is not in: %.*s", what, (int)said.len, (const char *)said.ptr);
    }
    assert_null(memmem(said.ptr, said.len, "PRIVATE", 7));
}

static void test_mistakes(void **state) {
    struct world *w = *state;
    expect_error(w,
                 "clientAuth: none, certificates: [{name: www, certFile: DIR/server.crt, "
                 "keyFile: DIR/other.key}]",
                 "certificate www: keyFile: the key is not that of the certificate");
    expect_error(w,
                 "clientAuth: none, certificates: [{name: www, certFile: DIR/server.key, "
                 "keyFile: DIR/server.key}]",
                 "certFile: ");
    expect_error(w,
                 "clientAuth: none, certificates: [{name: www, certFile: DIR/server.crt, "
                 "keyFile: DIR/none.key}]",
                 "keyFile: ");
    expect_error(w, CERT ", keyPassphrase: 'env:PAVISE_TEST_UNSET'}], clientAuth: none",
                 "keyPassphrase: env:PAVISE_TEST_UNSET is not set");
    expect_error(w, CERT ", stapling: {enabled: true}}], clientAuth: none",
                 "f:1:1: port 8443, certificate www: stapling: file is missing");
    expect_error(w, CERT ", stapling: {enabled: true, file: DIR/none}}], clientAuth: none",
                 "certificate www: stapling: file: ");
    expect_error(w, CERT ", stapling: {enabled: true, file: DIR/ca.crt}}], clientAuth: none",
                 "certFile has to hold the certificate's issuer as well");
    expect_error(w, CERT ", enabled: false}], clientAuth: none", "none of them is enabled");
    expect_error(w, "clientCerts: [{file: DIR/ca.crt}, {file: DIR/ca.crt}]",
                 "clientCerts: duplicated_certs: ");
    expect_error(w, "clientCerts: [{file: DIR/server.key}]", "clientCerts: invalid_certificate: ");
    expect_error(w, "clientCerts: [{file: DIR/old.crt}]", "clientCerts: certificate_expired: ");
    expect_error(w, "ciphers: AES128-SHA", "ciphers: AES128-SHA is not allowed");
    expect_error(w, "tls13CipherSuites: [TLS_NONE]", "tls13CipherSuites: \"TLS_NONE\" is no suite");
}

static void test_what_has_expired_since(void **state) {
    struct world *w = *state;
    const char *keys = "clientCerts: [{file: DIR/old.crt}]";
    OWNED(edge_set_unref) struct edge_set *start = load(w, keys, NULL, EDGE_EXPIRY_WARNS);
    assert_non_null(start);
    assert_true(w->warnings.len > 0);
    OWNED(edge_set_unref)
    struct edge_set *again =
        load(w, "clientCerts: [{file: DIR/old.crt}], alpn: [h2]", start, EDGE_EXPIRY_REFUSES);
    assert_non_null(again);
}

static void test_pinned_leaf_is_said(void **state) {
    struct world *w = *state;
    OWNED(edge_set_unref)
    struct edge_set *set = load(w,
                                "clientCerts: [{file: DIR/server.crt}], subjectValidation: sanCn, "
                                "authorizedSubjects: [{CN: a}]",
                                NULL, EDGE_EXPIRY_REFUSES);
    assert_non_null(set);
    assert_non_null(memmem(buf_span(&w->warnings).ptr, w->warnings.len, "has no effect", 13));
}

static void test_inventory(void **state) {
    struct world *w = *state;
    struct view view = {0};
    OWNED(edge_set_unref)
    struct edge_set *set = load(w,
                                CERT ", clientCerts: [{file: DIR/ca.crt}]}], clientCerts: "
                                     "[{file: DIR/old.crt}, {file: DIR/ca.crt}]",
                                NULL, EDGE_EXPIRY_WARNS);
    assert_non_null(set);
    assert_true(edge_inventory_render(set, &view));
    assert_int_equal(view.num_certificates, 4);
    assert_string_equal(view.certificates[0].logical_name, "inbound/8443/www");
    assert_non_null(strstr(view.certificates[0].path, "/server.crt"));
    assert_int_equal(view.certificates[0].not_after, PKI_NOT_AFTER);
    assert_string_equal(view.certificates[1].logical_name, "inbound/8443/www/clientCerts");
    assert_string_equal(view.certificates[2].logical_name, "inbound/8443/clientCerts");
    assert_int_equal(view.certificates[2].not_after, PKI_NOT_BEFORE + 1);
    view_fini(&view);
    assert_true(edge_inventory_render(NULL, &view));
    assert_int_equal(view.num_certificates, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_port, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_inventory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_workload_certificate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mistakes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_has_expired_since, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pinned_leaf_is_said, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
