// Loading: what the files hold, and what is said when they are wrong.
#include "agent/edge/edge_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/bytestring.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/x509.h>

#include "agent/edge/edge_inventory.h"
#include "base/file.h"
#include "certmgr/pem.h"
#include "tests/edge/edge_world.h"
#include "tests/testing/pki.h"

struct world {
    struct edge_world files;
    struct pki_cert *ca, *server, *other;
};

static int set_up(void **state) {
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    edge_world_init(&w->files);
    struct pki_options www = {.dns = {span_of("WWW.x", 5), span_of("*.y", 3)}};
    struct pki_options past = {.ca = true, .not_after = PKI_NOT_BEFORE + 1};
    w->ca = pki_ca();
    w->server = pki_issue(w->ca, &www);
    w->other = pki_issue(w->ca, &(struct pki_options){0});
    OWNED(pki_free) struct pki_cert *expired = pki_issue(NULL, &past);
    edge_world_write(&w->files, "ca.crt", "CERTIFICATE", pki_der(w->ca));
    edge_world_write(&w->files, "old.crt", "CERTIFICATE", pki_der(expired));
    edge_world_write(&w->files, "server.crt", "CERTIFICATE", pki_der(w->server));
    edge_world_write(&w->files, "server.key", "PRIVATE KEY", pki_key_der(w->server));
    edge_world_write(&w->files, "other.key", "PRIVATE KEY", pki_key_der(w->other));
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    struct world *w = *state;
    edge_world_fini(&w->files);
    pki_free(w->ca);
    pki_free(w->server);
    pki_free(w->other);
    free(w);
    return 0;
}

// A port with these keys.
static struct edge_set *load(struct world *w, const char *keys, const struct edge_set *before,
                             enum edge_expiry expiry) {
    char text[4096];
    int len = snprintf(text, sizeof(text),
                       "inbound: {ports: [{port: 8443, tlsMode: required, %s}]}\n", keys);
    assert_true(len > 0 && (size_t)len < sizeof(text));
    return edge_world_load(&w->files, text, before, expiry);
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
    struct span said = buf_span(&w->files.errors);
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
                 "f:1:1: port 8443, certificate www: stapling: certFile has to hold the "
                 "certificate's issuer as well");
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

// --- stapling

#define EXPLICIT(n) (CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | (n))

static void add_digest(CBB *out, const EVP_MD *md, const uint8_t *bytes, size_t len) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned digest_len = 0;
    CBB octets;
    assert_true(EVP_Digest(bytes, len, digest, &digest_len, md, NULL) &&
                CBB_add_asn1(out, &octets, CBS_ASN1_OCTETSTRING) &&
                CBB_add_bytes(&octets, digest, digest_len) && CBB_flush(out));
}

static void add_cert_id(CBB *out, const struct world *w) {
    static const uint8_t algorithm[] = {0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48,
                                        0x01, 0x65, 0x03, 0x04, 0x02, 0x01};
    uint8_t *name = NULL;
    uint8_t *serial = NULL;
    int name_len = i2d_X509_NAME(X509_get_subject_name(pki_x509(w->ca)), &name);
    int serial_len = i2d_ASN1_INTEGER(X509_get_serialNumber(pki_x509(w->server)), &serial);
    const ASN1_BIT_STRING *key = X509_get0_pubkey_bitstr(pki_x509(w->ca));
    CBB id;
    assert_true(CBB_add_asn1(out, &id, CBS_ASN1_SEQUENCE) &&
                CBB_add_bytes(&id, algorithm, sizeof(algorithm)));
    add_digest(&id, EVP_sha256(), name, (size_t)name_len);
    add_digest(&id, EVP_sha256(), ASN1_STRING_get0_data(key), (size_t)ASN1_STRING_length(key));
    assert_true(CBB_add_bytes(&id, serial, (size_t)serial_len) && CBB_flush(out));
    OPENSSL_free(name);
    OPENSSL_free(serial);
}

static void add_time(CBB *out, const char *text) {
    CBB time;
    assert_true(CBB_add_asn1(out, &time, CBS_ASN1_GENERALIZEDTIME) &&
                CBB_add_bytes(&time, (const uint8_t *)text, strlen(text)) && CBB_flush(out));
}

// ResponseData: the server's certificate is good between the two times.
static void add_data(CBB *out, const struct world *w, const char *from, const char *until) {
    CBB data, id, singles, single, good, next;
    const ASN1_BIT_STRING *key = X509_get0_pubkey_bitstr(pki_x509(w->ca));
    assert_true(CBB_add_asn1(out, &data, CBS_ASN1_SEQUENCE) &&
                CBB_add_asn1(&data, &id, EXPLICIT(2)));
    add_digest(&id, EVP_sha1(), ASN1_STRING_get0_data(key), (size_t)ASN1_STRING_length(key));
    add_time(&data, from);
    assert_true(CBB_add_asn1(&data, &singles, CBS_ASN1_SEQUENCE) &&
                CBB_add_asn1(&singles, &single, CBS_ASN1_SEQUENCE));
    add_cert_id(&single, w);
    assert_true(CBB_add_asn1(&single, &good, CBS_ASN1_CONTEXT_SPECIFIC | 0));
    add_time(&single, from);
    assert_true(CBB_add_asn1(&single, &next, EXPLICIT(0)));
    add_time(&next, until);
    assert_true(CBB_flush(out));
}

static void add_signature(CBB *out, const struct world *w, struct span data) {
    static const uint8_t ecdsa_sha256[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                           0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
    uint8_t signature[128];
    size_t len = sizeof(signature);
    EVP_MD_CTX ctx;
    CBB bits;
    EVP_MD_CTX_init(&ctx);
    assert_true(EVP_DigestSignInit(&ctx, NULL, EVP_sha256(), NULL, pki_key(w->ca)) &&
                EVP_DigestSign(&ctx, signature, &len, data.ptr, data.len));
    EVP_MD_CTX_cleanup(&ctx);
    assert_true(CBB_add_bytes(out, data.ptr, data.len) &&
                CBB_add_bytes(out, ecdsa_sha256, sizeof(ecdsa_sha256)) &&
                CBB_add_asn1(out, &bits, CBS_ASN1_BITSTRING) && CBB_add_u8(&bits, 0) &&
                CBB_add_bytes(&bits, signature, len) && CBB_flush(out));
}

static void write_response(const struct world *w, const char *from, const char *until) {
    static const uint8_t basic_oid[] = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01};
    uint8_t data[1024], all[2048];
    size_t data_len = 0, len = 0;
    char path[128];
    CBB cbb, response, status, explicit, bytes, oid, octets, basic;
    assert_true(CBB_init_fixed(&cbb, data, sizeof(data)));
    add_data(&cbb, w, from, until);
    assert_true(CBB_finish(&cbb, NULL, &data_len));
    assert_true(CBB_init_fixed(&cbb, all, sizeof(all)) &&
                CBB_add_asn1(&cbb, &response, CBS_ASN1_SEQUENCE) &&
                CBB_add_asn1(&response, &status, CBS_ASN1_ENUMERATED) && CBB_add_u8(&status, 0) &&
                CBB_add_asn1(&response, &explicit, EXPLICIT(0)) &&
                CBB_add_asn1(&explicit, &bytes, CBS_ASN1_SEQUENCE) &&
                CBB_add_asn1(&bytes, &oid, CBS_ASN1_OBJECT) &&
                CBB_add_bytes(&oid, basic_oid, sizeof(basic_oid)) &&
                CBB_add_asn1(&bytes, &octets, CBS_ASN1_OCTETSTRING) &&
                CBB_add_asn1(&octets, &basic, CBS_ASN1_SEQUENCE));
    add_signature(&basic, w, span_of(data, data_len));
    assert_true(CBB_finish(&cbb, NULL, &len));
    edge_world_path(&w->files, "staple", path);
    assert_true(file_write_atomic(path, span_of(all, len), 0600, NULL));
}

static void expect_staple(struct world *w, const char *from, const char *until, const char *said) {
    write_response(w, from, until);
    OWNED(edge_set_unref)
    struct edge_set *set = load(w,
                                "clientAuth: none, certificates: [{name: www, certFile: "
                                "DIR/chain.crt, keyFile: DIR/server.key, "
                                "stapling: {enabled: true, file: DIR/staple}}]",
                                NULL, EDGE_EXPIRY_REFUSES);
    if (set == NULL) {
        fail_msg("%.*s", (int)w->files.errors.len, (const char *)buf_span(&w->files.errors).ptr);
    }
    assert_true(edge_set_find(set, 8443)->server.certificates[0].staple.len > 0);
    assert_true(buf_append(&w->files.warnings, "", 1));
    const char *warnings = (const char *)buf_span(&w->files.warnings).ptr;
    assert_true(said == NULL ? warnings[0] == '\0' : strstr(warnings, said) != NULL);
}

static void write_chain(struct world *w) {
    char path[128];
    struct buf chain = {0};
    assert_true(pem_render("CERTIFICATE", pki_der(w->server), &chain) &&
                pem_render("CERTIFICATE", pki_der(w->ca), &chain));
    edge_world_path(&w->files, "chain.crt", path);
    assert_true(file_write_atomic(path, buf_span(&chain), 0600, NULL));
    buf_fini(&chain);
}

// A response that is not current now blocks nothing: it is said, and judged again when it counts.
static void test_staples(void **state) {
    struct world *w = *state;
    write_chain(w);
    expect_staple(w, "20100101000000Z", "20900101000000Z", NULL);
    expect_staple(w, "20100101000000Z", "20110101000000Z",
                  "certificate www: stapling: the response has expired and is not sent\n");
    expect_staple(w, "20890101000000Z", "20900101000000Z",
                  "certificate www: stapling: the response begins in the future");
}

static void test_what_has_expired_since(void **state) {
    struct world *w = *state;
    const char *keys = "clientCerts: [{file: DIR/old.crt}]";
    OWNED(edge_set_unref) struct edge_set *start = load(w, keys, NULL, EDGE_EXPIRY_WARNS);
    assert_non_null(start);
    assert_true(w->files.warnings.len > 0);
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
    assert_non_null(
        memmem(buf_span(&w->files.warnings).ptr, w->files.warnings.len, "has no effect", 13));
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

// --- asking a responder

#define ASKED(keys)                                                                                \
    "clientAuth: none, certificates: [{name: www, certFile: DIR/chain.crt, keyFile: "              \
    "DIR/server.key, stapling: {enabled: true" keys "}}]"

static void test_asked(void **state) {
    struct world *w = *state;
    write_chain(w);
    OWNED(edge_set_unref)
    struct edge_set *set =
        load(w, ASKED(", responder: 'http://ocsp.x:81/a'"), NULL, EDGE_EXPIRY_REFUSES);
    assert_true(set->asked.num == 1 && set->asked.items[0].port == 8443);
    assert_string_equal(set->asked.items[0].responder, "http://ocsp.x:81/a");
    assert_true(set->asked.items[0].request.len > 60);
    const struct stapling_options *options = set->asked.items[0].options;
    assert_true(options->query_interval_ms == 3600000 && options->response_timeout_ms == 1000);
    assert_true(options->recovery_interval_ms == 60000 && options->recovery_max_tries == 5);
    assert_int_equal(edge_set_find(set, 8443)->server.certificates[0].staple_slot, 1);
    expect_error(w, ASKED(""), "certificate www: stapling: no_responder_url: ");
    edge_world_write(&w->files, "chain.crt", "CERTIFICATE", pki_der(w->server));
    expect_error(w, ASKED(", responder: 'http://ocsp.x/'"), "has to hold the certificate's issuer");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_port, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_inventory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_workload_certificate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mistakes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_staples, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_has_expired_since, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pinned_leaf_is_said, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
