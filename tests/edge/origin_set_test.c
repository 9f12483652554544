// Loading what outbound.destinations names, and what is said when it is wrong.
#include "agent/edge/origin_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/edge/edge_inventory.h"
#include "agent/edge/edge_set.h"
#include "base/file.h"
#include "certmgr/pem.h"
#include "tests/testing/pki.h"

struct world {
    char directory[64];
    struct buf errors, warnings;
};

static void write_block(const struct world *w, const char *name, const char *label,
                        struct span der) {
    char path[128];
    struct buf pem = {0};
    snprintf(path, sizeof(path), "%s/%s", w->directory, name);
    assert_true(pem_render(label, der, &pem));
    assert_true(file_write_atomic(path, buf_span(&pem), 0600, NULL));
    buf_fini(&pem);
}

static void write_pem(const struct world *w, const char *name, const struct pki_cert *cert) {
    write_block(w, name, "CERTIFICATE", pki_der(cert));
}

static int set_up(void **state) {
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    strcpy(w->directory, "/tmp/pavise-origin-XXXXXX");
    assert_non_null(mkdtemp(w->directory));
    struct pki_options past = {.ca = true, .not_after = PKI_NOT_BEFORE + 1};
    OWNED(pki_free) struct pki_cert *ca = pki_ca();
    OWNED(pki_free) struct pki_cert *expired = pki_issue(NULL, &past);
    write_pem(w, "ca.crt", ca);
    OWNED(pki_free) struct pki_cert *own = pki_issue(ca, &(struct pki_options){0});
    write_pem(w, "old.crt", expired);
    write_pem(w, "own.crt", own);
    write_block(w, "own.key", "PRIVATE KEY", pki_key_der(own));
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    struct world *w = *state;
    char path[128];
    static const char *const names[] = {"ca.crt", "old.crt", "own.crt", "own.key"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", w->directory, names[i]);
        unlink(path);
    }
    rmdir(w->directory);
    buf_fini(&w->errors);
    buf_fini(&w->warnings);
    free(w);
    return 0;
}

// Public roots of the test, and a rule with these keys; DIR in them is the directory.
static struct edge_set *load(struct world *w, const char *keys, const struct edge_set *before,
                             enum edge_expiry expiry) {
    struct buf text = {0};
    char all[1024];
    snprintf(all, sizeof(all),
             "trustStore: {publicRoots: DIR/ca.crt, output: DIR/out, certificates: [{name: corp, "
             "file: DIR/ca.crt}, {name: far, url: 'https://a.b/c'}]}\n"
             "outbound: {destinations: [{tls: deny, match: {ports: [1]}},\n {name: r, %s}]}\n",
             keys);
    for (const char *at = all; *at != '\0';) {
        bool dir = strncmp(at, "DIR", 3) == 0;
        assert_true(dir ? buf_append_text(&text, w->directory) : buf_append(&text, at, 1));
        at += dir ? 3 : 1;
    }
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

static const struct edge_app *origin_of(const struct edge_set *set) {
    return edge_set_origin(set, &set->config->outbound.rules[1]);
}

static void test_rules_of_each_kind(void **state) {
    struct world *w = *state;
    OWNED(edge_set_unref)
    struct edge_set *simple =
        load(w, "tls: simple, serverName: a.b, minVersion: 1.3", NULL, EDGE_EXPIRY_REFUSES);
    const struct edge_app *origin = origin_of(simple);
    assert_non_null(origin);
    assert_int_equal(anchors_num(origin->anchors), 1); // the public roots
    assert_string_equal(origin->server_name, "a.b");
    assert_true(origin->needs_tls_1_3);
    assert_null(edge_set_origin(simple, &simple->config->outbound.rules[0]));
    OWNED(edge_set_unref)
    struct edge_set *pinned =
        load(w, "tls: mutual, serverCerts: [{file: DIR/ca.crt}]", NULL, EDGE_EXPIRY_REFUSES);
    assert_non_null(origin_of(pinned));
    assert_int_equal(anchors_num(origin_of(pinned)->anchors), 1);
    OWNED(edge_set_unref) struct edge_set *mutual = load(w, "tls: mutual", NULL, EDGE_EXPIRY_WARNS);
    assert_null(origin_of(mutual));
    OWNED(edge_set_unref)
    struct edge_set *blind = load(w, "tls: simple, verify: false", NULL, EDGE_EXPIRY_WARNS);
    assert_null(origin_of(blind)->anchors);
    assert_null(edge_set_origin(NULL, &blind->config->outbound.rules[1]));
}

static void test_names_of_the_trust_store(void **state) {
    struct world *w = *state;
    OWNED(edge_set_unref)
    struct edge_set *named = load(w, "tls: simple, serverCerts: [corp]", NULL, EDGE_EXPIRY_REFUSES);
    assert_non_null(named);
    assert_int_equal(anchors_num(origin_of(named)->anchors), 1);
}

static void test_what_servers_are_shown_and_asked(void **state) {
    struct world *w = *state;
    static const char keys[] =
        "tls: mutual, serverCerts: [corp], clientCert: own, alpn: [h2, http/1.1],"
        " authorizedSubjects: [{CN: a}]}], certificates: [{name: other, certFile: DIR/own.crt,"
        " keyFile: DIR/own.key}, {name: own, certFile: DIR/own.crt, keyFile: DIR/own.key";
    OWNED(edge_set_unref) struct edge_set *set = load(w, keys, NULL, EDGE_EXPIRY_REFUSES);
    assert_non_null(set);
    const struct edge_app *origin = origin_of(set);
    size_t num = 0;
    const struct edge_certificate *shown = origin_set_certificates(set->origins, &num);
    assert_int_equal(num, 2);
    assert_ptr_equal(origin->own, &shown[1]);
    assert_string_equal(origin->own->name, "own");
    assert_int_equal(origin->num_subjects, 1);
    struct span alpn = edge_set_alpn(set, &set->config->outbound.rules[1]);
    assert_int_equal(alpn.len, 12);
    assert_memory_equal(alpn.ptr, "\2h2\10http/1.1", 12);
    assert_int_equal(edge_set_alpn(set, &set->config->outbound.rules[0]).len, 0);
    OWNED(edge_set_unref)
    struct edge_set *spiffe = load(w, "tls: mutual, alpn: [h2]", NULL, EDGE_EXPIRY_REFUSES);
    assert_int_equal(edge_set_alpn(spiffe, &spiffe->config->outbound.rules[1]).len, 3);
}

// What is configured has its row whether a destination shows it or not.
static void test_expiry_of_what_servers_are_shown(void **state) {
    struct world *w = *state;
    static const char keys[] =
        "tls: mutual, serverCerts: [corp], clientCert: own}], certificates: [{name: own, "
        "certFile: DIR/own.crt, keyFile: DIR/own.key}, {name: spare, certFile: DIR/own.crt, "
        "keyFile: DIR/own.key";
    struct view view = {0};
    OWNED(edge_set_unref) struct edge_set *set = load(w, keys, NULL, EDGE_EXPIRY_REFUSES);
    assert_non_null(set);
    assert_true(edge_inventory_render(set, &view));
    assert_int_equal(view.num_certificates, 3);
    assert_string_equal(view.certificates[0].logical_name, "outbound/r/serverCerts");
    assert_string_equal(view.certificates[1].logical_name, "outbound/certificates/own");
    assert_non_null(strstr(view.certificates[1].path, "/own.crt"));
    assert_int_equal(view.certificates[1].not_after, PKI_NOT_AFTER);
    assert_string_equal(view.certificates[2].logical_name, "outbound/certificates/spare");
    view_fini(&view);
}

static void expect_said(struct world *w, const char *keys, const char *lead, const char *sentence) {
    OWNED(edge_set_unref) struct edge_set *set = load(w, keys, NULL, EDGE_EXPIRY_REFUSES);
    assert_null(set);
    assert_true(buf_append(&w->errors, "", 1));
    const char *said = (const char *)buf_span(&w->errors).ptr;
    if (strncmp(said, lead, strlen(lead)) != 0 || strstr(said, sentence) == NULL) {
        fail_msg("%s", said);
    }
}

static void expect_mistake(struct world *w, const char *keys, const char *sentence) {
    expect_said(w, keys, "f:3:1: destination r: ", sentence);
}

static void expect_certificate_mistake(struct world *w, const char *keys, const char *sentence) {
    expect_said(w, keys, "f:3:1: certificate n: ", sentence);
}

static void test_mistakes(void **state) {
    expect_mistake(*state, "tls: simple, serverCerts: [{file: /nowhere}]",
                   "serverCerts: invalid_certificate");
    expect_mistake(*state, "tls: simple, serverCerts: [{file: DIR/ca.crt}, {file: DIR/ca.crt}]",
                   "serverCerts: duplicated_certs");
    expect_mistake(*state, "tls: simple, serverCerts: [{file: DIR/old.crt}]",
                   "serverCerts: certificate_expired");
    expect_mistake(*state, "tls: simple, serverCerts: [nobody]",
                   "serverCerts: \"nobody\" is no name of trustStore.certificates");
    expect_mistake(*state, "tls: simple, serverCerts: [far]", "\"far\" comes from a URL");
    expect_mistake(*state, "tls: simple, serverCerts: [corp, {file: DIR/ca.crt}]",
                   "serverCerts: duplicated_certs");
    expect_mistake(*state, "tls: simple, ciphers: NONSENSE", "ciphers: ");
    static const char certificate[] = "tls: deny}], certificates: [{name: n, certFile: DIR/";
    char keys[256];
    snprintf(keys, sizeof(keys), "%sca.crt, keyFile: DIR/own.key", certificate);
    expect_certificate_mistake(*state, keys, "keyFile: the key is not that of the certificate");
    snprintf(keys, sizeof(keys), "%snone.crt, keyFile: DIR/own.key", certificate);
    expect_certificate_mistake(*state, keys, "certFile: ");
    expect_mistake(*state, "tls: simple, ciphers: AES128-SHA",
                   "ciphers: AES128-SHA is not allowed: only ECDHE with AEAD is");
}

static void test_what_expired_since_blocks_nothing(void **state) {
    struct world *w = *state;
    static const char keys[] = "tls: simple, serverCerts: [{file: DIR/old.crt}]";
    OWNED(edge_set_unref) struct edge_set *first = load(w, keys, NULL, EDGE_EXPIRY_WARNS);
    assert_non_null(first);
    assert_true(w->warnings.len > 0);
    OWNED(edge_set_unref) struct edge_set *next = load(w, keys, first, EDGE_EXPIRY_REFUSES);
    assert_non_null(next);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_of_each_kind),
        cmocka_unit_test(test_names_of_the_trust_store),
        cmocka_unit_test(test_expiry_of_what_servers_are_shown),
        cmocka_unit_test(test_what_servers_are_shown_and_asked),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_what_expired_since_blocks_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
