// `tls: mutual` towards servers that speak TLS themselves: versions, SNI, names, our certificate.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <openssl/ssl.h>

#include "base/clock.h"
#include "tests/tls/raw_peer.h"
#include "tests/tls/tls_fixture.h"

struct row {
    const char *label;
    const char *server_name; // ours; NULL: by SPIFFE ID
    const char *dns;         // in the server's certificate
    const char *uri;         // in the server's certificate
    uint16_t max_version;    // the server's
    bool ask;                // the server asks for our certificate
    enum verify_result result;
};

static const struct row rows[] = {
    {"by SPIFFE ID", NULL, NULL, SERVER_ID, 0, true, VERIFY_OK},
    {"by SPIFFE ID, TLS 1.2", NULL, NULL, SERVER_ID, TLS1_2_VERSION, true, VERIFY_OK},
    {"by name", "config.internal", "config.internal", NULL, 0, true, VERIFY_OK},
    {"by name, TLS 1.2", "config.internal", "config.internal", NULL, TLS1_2_VERSION, true,
     VERIFY_OK},
    {"by name, with an ID", "config.internal", "config.internal", SERVER_ID, 0, false, VERIFY_OK},
    {"wrong name", "config.internal", "other.internal", NULL, 0, true, VERIFY_WRONG_NAME},
    {"wrong name, TLS 1.2", "config.internal", "other.internal", NULL, TLS1_2_VERSION, true,
     VERIFY_WRONG_NAME},
    {"no ID", NULL, "config.internal", NULL, 0, true, VERIFY_NO_SPIFFE_ID},
};

static bool accepts(void *arg, const struct peer *peer) {
    *(int *)arg += 1;
    return peer->id.len == 0 || strcmp(peer->id.text, SERVER_ID) == 0;
}

static void check_success(const struct row *row, struct raw_peer *raw, struct tls_pair *pair) {
    const struct peer *peer = tls_stream_peer(pair->client.stream);
    assert_non_null(peer);
    assert_string_equal(peer->id.text, row->uri == NULL ? "" : row->uri);
    assert_string_equal(tls_stream_version(pair->client.stream),
                        row->max_version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
    const STACK_OF(CRYPTO_BUFFER) *presented = SSL_get0_peer_certificates(raw->ssl);
    size_t num = presented == NULL ? 0 : sk_CRYPTO_BUFFER_num(presented);
    assert_int_equal(num, row->ask ? 1 : 0);
    size_t n = 0;
    uint8_t out[64];
    assert_int_equal(tls_side_write(pair, &pair->client, span_of_text("question"), &n), TLS_OK);
    raw_peer_receive(raw, pair, &pair->client);
    assert_int_equal(raw_peer_read(raw, out, sizeof(out)), 8);
    assert_int_equal(SSL_write(raw->ssl, "answer", 6), 6);
    raw_peer_send(raw, &pair->client);
    assert_int_equal(tls_side_read(pair, &pair->client, span_of(out, sizeof(out)), &n), TLS_OK);
    assert_memory_equal(out, "answer", n);
    assert_int_equal(
        tls_stream_reverify(pair->client.stream,
                            tls_context_identity(tls_stream_context(pair->client.stream)),
                            clock_wall_s(), NULL),
        VERIFY_OK);
}

static void check_refusal(const struct row *row, struct raw_peer *raw, struct tls_pair *pair) {
    assert_int_equal(tls_stream_refusal(pair->client.stream), row->result);
    assert_null(tls_stream_peer(pair->client.stream));
    assert_string_not_equal(tls_stream_error(pair->client.stream), "");
    uint8_t out[64];
    assert_int_equal(raw_peer_read(raw, out, sizeof(out)), -SSL_AD_BAD_CERTIFICATE);
}

static void check(const struct tls_fixture *fixture, const struct row *row) {
    print_message("    %s\n", row->label);
    struct pki_options options = {.uris = {span_of_text(row->uri)},
                                  .dns = {span_of_text(row->dns)}};
    OWNED(pki_free) struct pki_cert *leaf = pki_issue(fixture->ca, &options);
    CRYPTO_BUFFER *chain[] = {pki_buffer(leaf)};
    struct raw_peer raw;
    raw_peer_init(&raw, &(struct raw_options){.server = true,
                                              .ask_certificate = row->ask,
                                              .max_version = row->max_version,
                                              .chain = chain,
                                              .num_chain = 1,
                                              .key = pki_key(leaf)});
    int num_asked = 0;
    struct tls_pair pair;
    tls_pair_init(&pair, &(struct tls_pair_options){
                             .client = fixture->client,
                             .server = fixture->server,
                             .client_use = TLS_MUTUAL_CLIENT,
                             .client_expects = {.accept = accepts,
                                                .arg = &num_asked,
                                                .server_name = row->server_name},
                         });
    bool done = raw_peer_handshake(&raw, &pair, &pair.client);
    bool is_ok = row->result == VERIFY_OK;
    assert_int_equal(pair.client.handshake, is_ok ? TLS_OK : TLS_FAILED);
    assert_true(done == is_ok);
    assert_int_equal(num_asked, is_ok ? 1 : 0);
    const char *sni = SSL_get_servername(raw.ssl, TLSEXT_NAMETYPE_host_name);
    if (row->server_name == NULL) {
        assert_null(sni);
    } else if (is_ok) {
        assert_string_equal(sni, row->server_name);
    }
    if (is_ok) {
        check_success(row, &raw, &pair);
    } else {
        check_refusal(row, &raw, &pair);
    }
    raw_peer_fini(&raw);
    tls_pair_fini(&pair);
}

static void servers_of_all_kinds(void **state) {
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check(*state, &rows[i]);
    }
}

static void expect_version(const struct tls_fixture *fixture, uint16_t servers_newest,
                           bool needs_tls_1_3, bool is_ok) {
    OWNED(pki_free) struct pki_cert *leaf = pki_leaf(fixture->ca, SERVER_ID);
    CRYPTO_BUFFER *chain[] = {pki_buffer(leaf)};
    struct raw_peer raw;
    raw_peer_init(&raw, &(struct raw_options){.server = true,
                                              .max_version = servers_newest,
                                              .chain = chain,
                                              .num_chain = 1,
                                              .key = pki_key(leaf)});
    struct tls_pair pair;
    tls_pair_init(&pair,
                  &(struct tls_pair_options){.client = fixture->client,
                                             .server = fixture->server,
                                             .client_use = TLS_MUTUAL_CLIENT,
                                             .client_expects = {.needs_tls_1_3 = needs_tls_1_3}});
    assert_true(raw_peer_handshake(&raw, &pair, &pair.client) == is_ok);
    assert_int_equal(pair.client.handshake, is_ok ? TLS_OK : TLS_FAILED);
    assert_true(tls_stream_got_alert(pair.client.stream) == !is_ok);
    raw_peer_fini(&raw);
    tls_pair_fini(&pair);
}

static void older_versions_are_refused(void **state) {
    expect_version(*state, TLS1_1_VERSION, false, false);
    expect_version(*state, TLS1_2_VERSION, false, true);
    expect_version(*state, TLS1_2_VERSION, true, false);
    expect_version(*state, TLS1_3_VERSION, true, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers_of_all_kinds),
        cmocka_unit_test(older_versions_are_refused),
    };
    return cmocka_run_group_tests(tests, tls_fixture_set_up, tls_fixture_tear_down);
}
