// Peers that must be refused, on either side: what the side that refuses says, what the other one
// hears, and that the control, the same peer without the fault, passes.
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

#define URI(text) span_of((text), sizeof(text) - 1)

enum fault {
    NO_FAULT,
    OTHER_CA,
    FOREIGN_DOMAIN,
    EXPIRED,
    NOT_YET,
    REVOKED,
    WRONG_USE,
};

struct refusal {
    enum fault fault;
    enum verify_result result;
    const char *alert; // as the refused side hears it
};

static const struct refusal refusals[] = {
    {NO_FAULT, VERIFY_OK, ""},
    {OTHER_CA, VERIFY_UNTRUSTED,
     "the peer sent alert \"unknown CA\": it does not trust our certificate"},
    {FOREIGN_DOMAIN, VERIFY_UNKNOWN_TRUST_DOMAIN,
     "the peer sent alert \"unknown CA\": it does not trust our certificate"},
    {EXPIRED, VERIFY_EXPIRED,
     "the peer sent alert \"certificate expired\": it holds our certificate to be expired; "
     "compare the clocks"},
    {NOT_YET, VERIFY_NOT_YET_VALID,
     "the peer sent alert \"certificate expired\": it holds our certificate to be expired; "
     "compare the clocks"},
    {REVOKED, VERIFY_REVOKED,
     "the peer sent alert \"certificate revoked\": it holds our certificate to be revoked"},
    {WRONG_USE, VERIFY_BAD_USAGE,
     "the peer sent alert \"unsupported certificate\": it refuses our certificate as unfit for "
     "this use"},
};

// The two sides of one row: the suspect has the fault, the judge is sound.
struct bench {
    struct pki_cert *ca;
    struct pki_cert *other_ca;
    struct pki_cert *leaf; // the suspect's
    struct tls_context *suspect;
    struct tls_context *judge;
};

static struct bundle_set *judges_bundles(struct bench *bench, enum fault fault) {
    struct err err = {0};
    OWNED(bundle_builder_free) struct bundle_builder *builder = bundle_builder_new();
    assert_non_null(builder);
    struct span der = pki_der(bench->ca);
    assert_true(bundle_builder_add(builder, URI("example.org"), der, &err));
    if (fault == REVOKED) {
        OWNED(pki_bytes_free)
        struct pki_bytes *crl =
            pki_crl(bench->ca, bench->leaf, clock_wall_s() - 60, clock_wall_s() + 3600);
        assert_true(bundle_builder_add_crl(builder, pki_span(crl), &err));
    }
    return bundle_builder_finish(take(&builder));
}

static struct svid *svid_of(const struct pki_cert *leaf) {
    struct err err = {0};
    struct svid *svid =
        svid_parse(pki_der(leaf), pki_key_der(leaf), span_of(NULL, 0), span_of(NULL, 0), &err);
    assert_string_equal(err.msg, "");
    return svid;
}

static void bench_init(struct bench *bench, enum fault fault, bool suspect_is_client) {
    *bench = (struct bench){.ca = pki_ca(), .other_ca = pki_ca()};
    int64_t now = clock_wall_s();
    struct pki_options leaf = {.uris = {URI("spiffe://example.org/suspect")}};
    if (fault == FOREIGN_DOMAIN) {
        leaf.uris[0] = URI("spiffe://foreign.example/suspect");
    }
    if (fault == EXPIRED) {
        leaf.not_before = now - 7200;
        leaf.not_after = now - 3600;
    }
    if (fault == NOT_YET) {
        leaf.not_before = now + 3600;
        leaf.not_after = now + 7200;
    }
    if (fault == WRONG_USE) {
        leaf.extended_key_usage = suspect_is_client ? "serverAuth" : "clientAuth";
    }
    bench->leaf = pki_issue(fault == OTHER_CA ? bench->other_ca : bench->ca, &leaf);
    bench->suspect =
        tls_fixture_context_of(svid_of(bench->leaf), pki_bundles("example.org", bench->ca));
    bench->judge = tls_fixture_context_of(pki_svid(bench->ca, "spiffe://example.org/judge"),
                                          judges_bundles(bench, fault));
}

static void bench_fini(struct bench *bench) {
    tls_context_unref(bench->suspect);
    tls_context_unref(bench->judge);
    pki_free(bench->leaf);
    pki_free(bench->ca);
    pki_free(bench->other_ca);
}

static void check_judge(const struct tls_side *judge, const struct refusal *row) {
    bool is_ok = row->result == VERIFY_OK;
    assert_int_equal(tls_stream_refusal(judge->stream), row->result);
    assert_int_equal(judge->handshake, is_ok ? TLS_OK : TLS_FAILED);
    assert_false(tls_stream_got_alert(judge->stream));
    assert_false(tls_stream_was_not_accepted(judge->stream));
    assert_true((tls_stream_peer(judge->stream) != NULL) == is_ok);
    const char *error = tls_stream_error(judge->stream);
    assert_true((error[0] == '\0') == is_ok);
    print_message("    %s: %s\n", verify_result_name(row->result), error);
}

static void check_suspect(const struct tls_side *suspect, const struct refusal *row) {
    assert_string_equal(tls_stream_error(suspect->stream), row->alert);
    assert_true(tls_stream_got_alert(suspect->stream) == (row->result != VERIFY_OK));
    assert_int_equal(tls_stream_refusal(suspect->stream), VERIFY_OK);
}

static void clients_are_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *row = &refusals[i];
        struct bench bench;
        bench_init(&bench, row->fault, true);
        struct tls_pair pair;
        tls_pair_init(&pair,
                      &(struct tls_pair_options){.client = bench.suspect, .server = bench.judge});
        tls_pair_handshake(&pair);
        check_judge(&pair.server, row);
        // A TLS 1.3 client is done before it is judged: it hears of it on a read.
        assert_int_equal(pair.client.handshake, TLS_OK);
        bool is_ok = row->result == VERIFY_OK;
        assert_int_equal(tls_side_drain(&pair, &pair.client), is_ok ? TLS_AGAIN : TLS_FAILED);
        check_suspect(&pair.client, row);
        tls_pair_fini(&pair);
        bench_fini(&bench);
    }
}

static void servers_are_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *row = &refusals[i];
        struct bench bench;
        bench_init(&bench, row->fault, false);
        struct tls_pair pair;
        tls_pair_init(&pair,
                      &(struct tls_pair_options){.client = bench.judge, .server = bench.suspect});
        tls_pair_handshake(&pair);
        check_judge(&pair.client, row);
        assert_int_equal(pair.server.handshake, row->result == VERIFY_OK ? TLS_OK : TLS_FAILED);
        check_suspect(&pair.server, row);
        tls_pair_fini(&pair);
        bench_fini(&bench);
    }
}

static bool accepts_nobody(void *arg, const struct peer *peer) {
    *(struct peer *)arg = *peer;
    return false;
}

static void the_callers_own_judgement_counts(void **state) {
    const struct tls_fixture *fixture = *state;
    static const char heard[] =
        "the peer sent alert \"access denied\": it does not allow our identity";
    for (int server_refuses = 0; server_refuses < 2; server_refuses++) {
        struct peer seen = {0};
        struct tls_expectation never = {.accept = accepts_nobody, .arg = &seen};
        struct tls_expectation any = {0};
        struct tls_pair pair;
        tls_pair_init(&pair, &(struct tls_pair_options){
                                 .client = fixture->client,
                                 .server = fixture->server,
                                 .client_expects = server_refuses ? any : never,
                                 .server_expects = server_refuses ? never : any,
                             });
        tls_pair_handshake(&pair);
        struct tls_side *judge = server_refuses ? &pair.server : &pair.client;
        struct tls_side *suspect = server_refuses ? &pair.client : &pair.server;
        const char *id = server_refuses ? CLIENT_ID : SERVER_ID;
        assert_int_equal(judge->handshake, TLS_FAILED);
        assert_true(tls_stream_was_not_accepted(judge->stream));
        assert_int_equal(tls_stream_refusal(judge->stream), VERIFY_OK);
        assert_string_equal(tls_stream_peer(judge->stream)->id.text, id);
        assert_string_equal(seen.id.text, id);
        assert_non_null(strstr(tls_stream_error(judge->stream), id));
        if (server_refuses) {
            assert_int_equal(tls_side_drain(&pair, suspect), TLS_FAILED);
        }
        assert_string_equal(tls_stream_error(suspect->stream), heard);
        tls_pair_fini(&pair);
    }
}

// Foreign clients against the mesh server.
struct stranger {
    const char *name;
    bool no_certificate;
    const char *alpn;
    uint16_t max_version;
    const char *error; // ours; "" is the control
    int alert;         // what the stranger receives, negative
};

static const struct stranger strangers[] = {
    {"control", false, "h2", 0, "", 0},
    {"no certificate", true, "h2", 0, "the peer presented no certificate",
     -SSL_AD_CERTIFICATE_REQUIRED},
    {"TLS 1.2", false, "h2", TLS1_2_VERSION,
     "unsupported protocol: the peer offers no TLS version that is allowed here",
     -SSL_AD_PROTOCOL_VERSION},
    {"no ALPN", false, NULL, 0, "the peer does not negotiate ALPN \"h2\": it is no mesh peer",
     -SSL_AD_NO_APPLICATION_PROTOCOL},
    {"other ALPN", false, "http/1.1", 0, "the peer offers ALPN, but not our protocol",
     -SSL_AD_NO_APPLICATION_PROTOCOL},
};

static void strange_client(struct tls_fixture *fixture, const struct stranger *row) {
    struct tls_pair pair;
    tls_fixture_pair(fixture, &pair, false);
    struct svid *svid = identity_svid(tls_context_identity(fixture->client));
    struct raw_options options = {
        .alpn = row->alpn, .max_version = row->max_version, .key = svid_key(svid)};
    options.chain = svid_chain(svid, &options.num_chain);
    options.num_chain = row->no_certificate ? 0 : options.num_chain;
    struct raw_peer raw;
    raw_peer_init(&raw, &options);
    raw_peer_handshake(&raw, &pair, &pair.server);
    assert_string_equal(tls_stream_error(pair.server.stream), row->error);
    assert_int_equal(pair.server.handshake, row->alert == 0 ? TLS_OK : TLS_FAILED);
    assert_int_equal(tls_stream_refusal(pair.server.stream),
                     row->no_certificate ? VERIFY_NO_CERTIFICATE : VERIFY_OK);
    assert_true((tls_stream_peer(pair.server.stream) != NULL) == (row->alert == 0));
    uint8_t out[16];
    assert_int_equal(raw_peer_read(&raw, out, sizeof(out)), row->alert);
    assert_true(raw.num_tickets == 0 || !row->no_certificate);
    raw_peer_fini(&raw);
    tls_pair_fini(&pair);
}

static void strange_clients_are_refused(void **state) {
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
        print_message("    %s\n", strangers[i].name);
        strange_client(*state, &strangers[i]);
    }
}

// A server that is trusted and speaks TLS 1.3, but does not do (our) ALPN.
static void a_server_without_h2_is_refused(void **state) {
    const struct tls_fixture *fixture = *state;
    static const char *const alpns[] = {"h2", NULL, "http/1.1"};
    for (size_t i = 0; i < 3; i++) {
        struct tls_pair pair;
        tls_fixture_pair(fixture, &pair, false);
        struct svid *svid = identity_svid(tls_context_identity(fixture->server));
        struct raw_options options = {
            .server = true, .alpn = alpns[i], .ask_certificate = true, .key = svid_key(svid)};
        options.chain = svid_chain(svid, &options.num_chain);
        struct raw_peer raw;
        raw_peer_init(&raw, &options);
        raw_peer_handshake(&raw, &pair, &pair.client);
        assert_int_equal(pair.client.handshake, i == 0 ? TLS_OK : TLS_FAILED);
        assert_string_equal(tls_stream_error(pair.client.stream),
                            i == 0 ? ""
                                   : "the peer does not negotiate ALPN \"h2\": it is no mesh peer");
        assert_null(SSL_get_servername(raw.ssl, TLSEXT_NAMETYPE_host_name));
        uint8_t out[16];
        assert_int_equal(raw_peer_read(&raw, out, sizeof(out)),
                         i == 0 ? 0 : -SSL_AD_NO_APPLICATION_PROTOCOL);
        raw_peer_fini(&raw);
        tls_pair_fini(&pair);
    }
}

static void present(const struct tls_fixture *fixture, const struct raw_options *options,
                    struct tls_pair *pair) {
    tls_fixture_pair(fixture, pair, false);
    struct tls_side *judge = options->server ? &pair->client : &pair->server;
    struct raw_peer raw;
    raw_peer_init(&raw, options);
    raw_peer_handshake(&raw, pair, judge);
    raw_peer_fini(&raw);
}

// Somebody else's chain without its key: possession is what counts, on both sides.
static void a_stolen_chain_is_refused(void **state) {
    const struct tls_fixture *fixture = *state;
    OWNED(pki_free) struct pki_cert *own = pki_leaf(fixture->ca, CLIENT_ID);
    for (int server = 0; server < 2; server++) {
        struct tls_context *victim = server ? fixture->server : fixture->client;
        struct raw_options options = {
            .server = server, .alpn = "h2", .key = pki_key(own), .key_is_foreign = true};
        options.chain = svid_chain(identity_svid(tls_context_identity(victim)), &options.num_chain);
        struct tls_pair pair;
        present(fixture, &options, &pair);
        struct tls_side *judge = server ? &pair.client : &pair.server;
        assert_int_equal(judge->handshake, TLS_FAILED);
        assert_string_equal(tls_stream_error(judge->stream),
                            "bad signature: the peer does not hold its certificate's key");
        assert_null(tls_stream_peer(judge->stream)); // claimed, not proved
        tls_pair_fini(&pair);
    }
}

// The thief's own leaf, and the identity only in the certificate behind it.
static void only_the_leaf_speaks(void **state) {
    const struct tls_fixture *fixture = *state;
    OWNED(pki_free) struct pki_cert *other_ca = pki_ca();
    OWNED(pki_free) struct pki_cert *own = pki_leaf(other_ca, CLIENT_ID);
    size_t num = 0;
    CRYPTO_BUFFER *const *stolen =
        svid_chain(identity_svid(tls_context_identity(fixture->client)), &num);
    CRYPTO_BUFFER *chain[] = {pki_buffer(own), stolen[0]};
    struct tls_pair pair;
    present(
        fixture,
        &(struct raw_options){.alpn = "h2", .key = pki_key(own), .chain = chain, .num_chain = 2},
        &pair);
    assert_int_equal(pair.server.handshake, TLS_FAILED);
    assert_int_equal(tls_stream_refusal(pair.server.stream), VERIFY_UNTRUSTED);
    tls_pair_fini(&pair);
}

static void a_long_chain_is_refused(void **state) {
    const struct tls_fixture *fixture = *state;
    struct svid *svid = identity_svid(tls_context_identity(fixture->client));
    size_t num_own = 0;
    CRYPTO_BUFFER *chain[40];
    for (size_t i = 0; i < 40; i++) {
        chain[i] = i == 0 ? svid_chain(svid, &num_own)[0] : pki_buffer(fixture->ca);
    }
    for (size_t num = 1; num <= 40; num += 39) {
        struct tls_pair pair;
        present(fixture,
                &(struct raw_options){
                    .alpn = "h2", .key = svid_key(svid), .chain = chain, .num_chain = num},
                &pair);
        assert_int_equal(pair.server.handshake, num == 1 ? TLS_OK : TLS_FAILED);
        assert_int_equal(tls_stream_refusal(pair.server.stream),
                         num == 1 ? VERIFY_OK : VERIFY_TOO_LARGE);
        tls_pair_fini(&pair);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_are_refused),
        cmocka_unit_test(servers_are_refused),
        cmocka_unit_test(the_callers_own_judgement_counts),
        cmocka_unit_test(strange_clients_are_refused),
        cmocka_unit_test(a_server_without_h2_is_refused),
        cmocka_unit_test(a_stolen_chain_is_refused),
        cmocka_unit_test(only_the_leaf_speaks),
        cmocka_unit_test(a_long_chain_is_refused),
    };
    return cmocka_run_group_tests(tests, tls_fixture_set_up, tls_fixture_tear_down);
}
