#include "tests/tls/session_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "base/check.h"
#include "base/clock.h"

static int64_t our_shift;
static int64_t library_shift;

int64_t __real_clock_wall_s(void);
int64_t __wrap_clock_wall_s(void);
int64_t __wrap_clock_wall_s(void) {
    return __real_clock_wall_s() + our_shift;
}

static void library_time(const SSL *ssl, struct timeval *out) {
    (void)ssl;
    gettimeofday(out, NULL);
    out->tv_sec += library_shift;
}

void session_fixture_move_clock(int64_t seconds) {
    our_shift += seconds;
}

void session_fixture_move_library_clock(int64_t seconds) {
    library_shift += seconds;
}

void session_fixture_use_clock(struct tls_context *context) {
    for (int use = 0; use < TLS_USE_COUNT; use++) {
        SSL_CTX_set_current_time_cb(tls_context_ssl(context, (enum tls_use)use), library_time);
    }
}

int session_fixture_set_up(void **state) {
    struct session_fixture *fixture = calloc(1, sizeof(*fixture));
    CHECK(fixture != NULL);
    fixture->ca = pki_ca();
    fixture->leaf = pki_leaf(fixture->ca, CLIENT_ID);
    fixture->own = pki_svid(fixture->ca, SERVER_ID);
    fixture->server =
        session_fixture_context(fixture, &(struct session_variant){.shares_keys = true});
    *state = fixture;
    return 0;
}

int session_fixture_tear_down(void **state) {
    struct session_fixture *fixture = *state;
    our_shift = library_shift = 0;
    tls_context_unref(fixture->server);
    svid_unref(fixture->own);
    pki_free(fixture->leaf);
    pki_free(fixture->ca);
    free(fixture);
    return 0;
}

static struct bundle_set *make_bundles(const struct session_fixture *fixture,
                                       const struct session_variant *variant) {
    struct bundle_builder *builder = bundle_builder_new();
    const struct pki_cert *root = variant->root != NULL ? variant->root : fixture->ca;
    CHECK(builder != NULL &&
          bundle_builder_add(builder, span_of_text("example.org"), pki_der(root), NULL));
    if (variant->other_domain != NULL) {
        CHECK(
            bundle_builder_add(builder, span_of_text(variant->other_domain), pki_der(root), NULL));
    }
    if (variant->revoked != NULL) {
        OWNED(pki_bytes_free)
        struct pki_bytes *crl =
            pki_crl(fixture->ca, variant->revoked, PKI_NOT_BEFORE, PKI_NOT_AFTER);
        CHECK(bundle_builder_add_crl(builder, pki_span(crl), NULL));
    }
    struct bundle_set *bundles = bundle_builder_finish(builder);
    CHECK(bundles != NULL);
    return bundles;
}

static void share_keys(struct tls_context *context) {
    uint8_t keys[SESSION_TICKET_KEYS_LEN];
    memset(keys, 7, sizeof(keys));
    SSL_CTX *ctx = tls_context_ssl(context, TLS_MESH_SERVER);
    CHECK(SSL_CTX_set_tlsext_ticket_keys(ctx, keys, sizeof(keys)));
}

// The library tells the session-id context of an SSL only.
static void share_id(struct tls_context *from, struct tls_context *to, enum tls_use use) {
    SSL *ssl = SSL_new(tls_context_ssl(from, use));
    CHECK(ssl != NULL);
    size_t len = 0;
    const uint8_t *id = SSL_get0_session_id_context(ssl, &len);
    CHECK(len == 32 && SSL_CTX_set_session_id_context(tls_context_ssl(to, use), id, len));
    SSL_free(ssl);
}

struct tls_context *session_fixture_context(const struct session_fixture *fixture,
                                            const struct session_variant *variant) {
    struct svid *own = variant->own != NULL ? variant->own : fixture->own;
    OWNED(bundle_set_unref) struct bundle_set *bundles = make_bundles(fixture, variant);
    OWNED(identity_unref) struct identity *identity = identity_new(1, &own, 1, bundles);
    const char *policy = variant->policy != NULL ? variant->policy : "policy";
    struct tls_context *context = tls_context_new(identity, span_of_text(policy), NULL);
    CHECK(context != NULL);
    session_fixture_use_clock(context);
    if (variant->shares_keys) {
        share_keys(context);
    }
    if (variant->shares_id != NULL) {
        for (int use = 0; use < TLS_USE_COUNT; use++) {
            share_id(variant->shares_id, context, (enum tls_use)use);
        }
    }
    return context;
}

struct session_outcome session_fixture_connect(const struct session_try *attempt) {
    CRYPTO_BUFFER *chain[] = {pki_buffer(attempt->leaf)};
    struct raw_peer raw;
    raw_peer_init(&raw, &(struct raw_options){.alpn = "h2",
                                              .chain = chain,
                                              .num_chain = 1,
                                              .key = pki_key(attempt->leaf),
                                              .session = attempt->session});
    struct tls_pair pair;
    tls_pair_init(&pair, &(struct tls_pair_options){
                             .client = attempt->server, // not used
                             .server = attempt->server,
                             .server_expects = {.accept = attempt->accept, .arg = attempt->arg},
                         });
    raw_peer_handshake(&raw, &pair, &pair.server);
    struct session_outcome outcome = {
        .refusal = tls_stream_refusal(pair.server.stream),
        .not_accepted = tls_stream_was_not_accepted(pair.server.stream),
        .resumed = SSL_session_reused(raw.ssl) == 1,
    };
    uint8_t out[16];
    if (pair.server.handshake == TLS_OK) {
        size_t n = 0;
        CHECK(tls_side_write(&pair, &pair.server, span_of_text("yes"), &n) == TLS_OK);
        CHECK(tls_stream_is_resumed(pair.server.stream) == outcome.resumed);
        raw_peer_receive(&raw, &pair, &pair.server);
        outcome.served = raw_peer_read(&raw, out, sizeof(out)) == 3;
    } else {
        outcome.alert = raw_peer_read(&raw, out, sizeof(out));
    }
    outcome.session = raw.session;
    outcome.num_tickets = raw.num_tickets;
    raw.session = NULL;
    raw_peer_fini(&raw);
    tls_pair_fini(&pair);
    return outcome;
}
