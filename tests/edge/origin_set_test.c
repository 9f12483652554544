// Loading what outbound.destinations names, and what is said when it is wrong.
#include "agent/edge/origin_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/edge/edge_inventory.h"
#include "agent/edge/edge_set.h"
#include "tests/edge/edge_world.h"
#include "tests/testing/pki.h"

static int set_up(void **state) {
    struct edge_world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    edge_world_init(w);
    struct pki_options past = {.ca = true, .not_after = PKI_NOT_BEFORE + 1};
    OWNED(pki_free) struct pki_cert *ca = pki_ca();
    OWNED(pki_free) struct pki_cert *expired = pki_issue(NULL, &past);
    edge_world_write(w, "ca.crt", "CERTIFICATE", pki_der(ca));
    OWNED(pki_free) struct pki_cert *own = pki_issue(ca, &(struct pki_options){0});
    edge_world_write(w, "old.crt", "CERTIFICATE", pki_der(expired));
    edge_world_write(w, "own.crt", "CERTIFICATE", pki_der(own));
    edge_world_write(w, "own.key", "PRIVATE KEY", pki_key_der(own));
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    edge_world_fini(*state);
    free(*state);
    return 0;
}

// Public roots of the test, and a rule with these keys.
static struct edge_set *load(struct edge_world *w, const char *keys, const struct edge_set *before,
                             enum edge_expiry expiry) {
    char text[1024];
    int len = snprintf(
        text, sizeof(text),
        "trustStore: {publicRoots: DIR/ca.crt, output: DIR/out, certificates: [{name: corp, "
        "file: DIR/ca.crt}, {name: far, url: 'https://a.b/c'}]}\n"
        "outbound: {destinations: [{tls: deny, match: {ports: [1]}},\n {name: r, %s}]}\n",
        keys);
    assert_true(len > 0 && (size_t)len < sizeof(text));
    return edge_world_load(w, text, before, expiry);
}

static const struct edge_app *origin_of(const struct edge_set *set) {
    return edge_set_origin(set, &set->config->outbound.rules[1]);
}

static void test_rules_of_each_kind(void **state) {
    struct edge_world *w = *state;
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
    struct edge_world *w = *state;
    OWNED(edge_set_unref)
    struct edge_set *named = load(w, "tls: simple, serverCerts: [corp]", NULL, EDGE_EXPIRY_REFUSES);
    assert_non_null(named);
    assert_int_equal(anchors_num(origin_of(named)->anchors), 1);
}

static void test_what_servers_are_shown_and_asked(void **state) {
    struct edge_world *w = *state;
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
    struct edge_world *w = *state;
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

static void expect_said(struct edge_world *w, const char *keys, const char *lead,
                        const char *sentence) {
    OWNED(edge_set_unref) struct edge_set *set = load(w, keys, NULL, EDGE_EXPIRY_REFUSES);
    assert_null(set);
    assert_true(buf_append(&w->errors, "", 1));
    const char *said = (const char *)buf_span(&w->errors).ptr;
    if (strncmp(said, lead, strlen(lead)) != 0 || strstr(said, sentence) == NULL) {
        fail_msg("%s", said);
    }
}

static void expect_mistake(struct edge_world *w, const char *keys, const char *sentence) {
    expect_said(w, keys, "f:3:1: destination r: ", sentence);
}

static void expect_certificate_mistake(struct edge_world *w, const char *keys,
                                       const char *sentence) {
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
    struct edge_world *w = *state;
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
