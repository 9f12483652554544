// Sessions that are resumed on the application's ports: good for the name and
// the certificate that they were made with, and for as long as the client would be let in anyway.
#include "agent/tls/edge_session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/clock.h"
#include "tests/testing/pki.h"
#include "tests/tls/raw_peer.h"

struct world {
    struct pki_cert *ca, *other_ca, *own, *client;
    struct anchors *anchors, *other_anchors;
    struct edge_server server;
};

static struct anchors *anchors_of(const struct pki_cert *ca) {
    struct anchors *anchors = anchors_new();
    assert_non_null(anchors);
    assert_true(anchors_add(anchors, pki_der(ca), "ca", NULL));
    return anchors;
}

// One certificate for the names a and b; clients of `ca` are let in.
static void make_server(struct world *w, struct edge_server *server, bool resumes) {
    *server = (struct edge_server){.certificates = calloc(1, sizeof(struct edge_certificate)),
                                   .num_certificates = 1,
                                   .resumes = resumes};
    struct edge_certificate *cert = server->certificates;
    assert_non_null(cert);
    *cert = (struct edge_certificate){
        .name = "own",
        .server_names = calloc(2, sizeof(char *)),
        .num_server_names = 2,
        .chain = calloc(1, sizeof(CRYPTO_BUFFER *)),
        .num_chain = 1,
        .key = pki_key(w->own),
        .kind = EDGE_KEY_P256,
        .not_after = PKI_NOT_AFTER,
        .rules = {.auth = EDGE_AUTH_REQUIRED,
                  .clients = w->anchors,
                  .depth = 1,
                  .min_version = EDGE_TLS_1_2,
                  .max_version = EDGE_TLS_1_3},
    };
    assert_true(cert->server_names != NULL && cert->chain != NULL);
    cert->server_names[0] = strdup("a");
    cert->server_names[1] = strdup("b");
    cert->chain[0] = pki_buffer(w->own);
    CRYPTO_BUFFER_up_ref(cert->chain[0]);
    EVP_PKEY_up_ref(cert->key);
    server->rules = cert->rules;
    assert_true(edge_server_finish(server, NULL, NULL));
}

static int set_up(void **state) {
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    w->ca = pki_ca();
    w->other_ca = pki_ca();
    w->own = pki_issue(w->ca, &(struct pki_options){0});
    w->client = pki_issue(w->ca, &(struct pki_options){.common_name = "client"});
    w->anchors = anchors_of(w->ca);
    w->other_anchors = anchors_of(w->other_ca);
    make_server(w, &w->server, true);
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    struct world *w = *state;
    edge_server_fini(&w->server);
    anchors_free(w->anchors);
    anchors_free(w->other_anchors);
    pki_free(w->ca);
    pki_free(w->other_ca);
    pki_free(w->own);
    pki_free(w->client);
    free(w);
    return 0;
}

struct try {
    const struct edge_server *server; // NULL: the world's
    const char *name;
    uint16_t version;
    SSL_SESSION *session; // offered; borrowed
    bool shows_nothing;   // no client certificate
};

struct outcome {
    bool served, resumed, knows_client;
    bool stapled; // the response of the server's certificate
    int num_tickets;
    SSL_SESSION *session; // the caller's
    enum verify_result result;
    int alert;
};

static void note_end(struct outcome *out, struct raw_peer *raw, struct tls_pair *pair,
                     const struct edge_session *session) {
    uint8_t text[16];
    size_t n = 0;
    out->result = edge_session_client(session)->result;
    out->knows_client = edge_session_client(session)->is_verified &&
                        strcmp(edge_session_client(session)->common_name, "client") == 0;
    if (pair->server.handshake != TLS_OK) {
        out->alert = raw_peer_read(raw, text, sizeof(text));
        return;
    }
    assert_int_equal(tls_side_write(pair, &pair->server, span_of_text("yes"), &n), TLS_OK);
    assert_true(tls_stream_is_resumed(pair->server.stream) == out->resumed);
    raw_peer_receive(raw, pair, &pair->server);
    out->served = raw_peer_read(raw, text, sizeof(text)) == 3;
}

static const char STAPLE[] = "a response";

static bool has_staple(const SSL *ssl) {
    const uint8_t *response = NULL;
    size_t len = 0;
    SSL_get0_ocsp_response(ssl, &response, &len);
    return len == strlen(STAPLE) && memcmp(response, STAPLE, len) == 0;
}

static struct outcome connect_once(const struct world *w, const struct try *attempt) {
    CRYPTO_BUFFER *chain[] = {pki_buffer(w->client)};
    struct raw_peer raw;
    raw_peer_init(&raw, &(struct raw_options){.server_name = attempt->name,
                                              .max_version = attempt->version,
                                              .chain = chain,
                                              .num_chain = attempt->shows_nothing ? 0 : 1,
                                              .key = pki_key(w->client),
                                              .session = attempt->session});
    SSL_enable_ocsp_stapling(raw.ssl);
    struct tls_pair pair = {.chunk = SIZE_MAX, .random = 1};
    struct edge_session *session = NULL;
    const struct edge_server *server = attempt->server == NULL ? &w->server : attempt->server;
    pair.server.handshake = TLS_AGAIN;
    pair.server.stream = edge_session_accept(server, NULL, NULL, &session);
    assert_non_null(pair.server.stream);
    raw_peer_handshake(&raw, &pair, &pair.server);
    struct outcome out = {.resumed = SSL_session_reused(raw.ssl) == 1};
    note_end(&out, &raw, &pair, session);
    out.stapled = has_staple(raw.ssl);
    out.num_tickets = raw.num_tickets;
    out.session = raw.session;
    raw.session = NULL;
    raw_peer_fini(&raw);
    tls_pair_fini(&pair);
    return out;
}

static struct outcome try_once(const struct world *w, const struct try *attempt) {
    struct outcome out = connect_once(w, attempt);
    SSL_SESSION_free(out.session);
    out.session = NULL;
    return out;
}

static const uint16_t VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static SSL_SESSION *session_for(const struct world *w, const char *name, uint16_t version) {
    struct outcome first = connect_once(w, &(struct try){.name = name, .version = version});
    assert_true(first.served && !first.resumed && first.knows_client);
    assert_non_null(first.session);
    return first.session;
}

static void test_resumes_and_knows_the_client(void **state) {
    const struct world *w = *state;
    for (size_t i = 0; i < 2; i++) {
        SSL_SESSION *session = session_for(w, "a", VERSIONS[i]);
        assert_false(SSL_SESSION_early_data_capable(session));
        assert_true(VERSIONS[i] == TLS1_2_VERSION || // where the client's library decides
                    SSL_SESSION_get_timeout(session) <= EDGE_SESSION_LIFETIME_S);
        struct outcome again =
            try_once(w, &(struct try){.name = "a", .version = VERSIONS[i], .session = session});
        assert_true(again.served && again.resumed && again.knows_client);
        SSL_SESSION_free(session);
    }
}

// Never across server names (docs/edge-tls.md, AP25): the client has to show its certificate again.
static void test_not_for_another_name(void **state) {
    const struct world *w = *state;
    for (size_t i = 0; i < 2; i++) {
        SSL_SESSION *session = session_for(w, "a", VERSIONS[i]);
        struct try other = {.name = "b", .version = VERSIONS[i], .session = session};
        struct outcome shown = try_once(w, &other);
        assert_true(shown.served && !shown.resumed);
        other.shows_nothing = true;
        struct outcome refused = try_once(w, &other);
        assert_false(refused.served || refused.resumed);
        assert_true(refused.alert < 0);
        SSL_SESSION_free(session);
    }
}

// Equal content, but loaded anew: its ticket keys are others.
static void test_not_after_a_reload(void **state) {
    struct world *w = *state;
    struct edge_server reloaded;
    make_server(w, &reloaded, true);
    for (size_t i = 0; i < 2; i++) {
        SSL_SESSION *session = session_for(w, "a", VERSIONS[i]);
        struct try attempt = {
            .server = &reloaded, .name = "a", .version = VERSIONS[i], .session = session};
        struct outcome outcome = try_once(w, &attempt);
        assert_true(outcome.served && !outcome.resumed);
        SSL_SESSION_free(session);
    }
    edge_server_fini(&reloaded);
}

// The second line of defence: with the same keys, what the session holds is judged by the rules of
// today.
static void test_judged_again(void **state) {
    struct world *w = *state;
    for (size_t i = 0; i < 2; i++) {
        SSL_SESSION *session = session_for(w, "a", VERSIONS[i]);
        w->server.certificates[0].rules.clients = w->other_anchors;
        struct outcome outcome =
            try_once(w, &(struct try){.name = "a", .version = VERSIONS[i], .session = session});
        assert_true(outcome.resumed && !outcome.served && !outcome.knows_client);
        assert_int_equal(outcome.result, VERIFY_UNTRUSTED);
        assert_int_equal(outcome.alert, -SSL_AD_UNKNOWN_CA);
        w->server.certificates[0].rules.clients = w->anchors;
        SSL_SESSION_free(session);
    }
}

static void test_not_with_an_expired_certificate_of_ours(void **state) {
    struct world *w = *state;
    for (size_t i = 0; i < 2; i++) {
        SSL_SESSION *session = session_for(w, "a", VERSIONS[i]);
        w->server.certificates[0].not_after = PKI_NOT_BEFORE;
        struct outcome outcome =
            try_once(w, &(struct try){.name = "a", .version = VERSIONS[i], .session = session});
        assert_true(outcome.served && !outcome.resumed);
        assert_int_equal(outcome.num_tickets, 0);
        w->server.certificates[0].not_after = PKI_NOT_AFTER;
        SSL_SESSION_free(session);
    }
}

static void test_no_tickets_unless_said(void **state) {
    struct world *w = *state;
    struct edge_server plain;
    make_server(w, &plain, false);
    for (size_t i = 0; i < 2; i++) {
        struct outcome outcome =
            try_once(w, &(struct try){.server = &plain, .name = "a", .version = VERSIONS[i]});
        assert_true(outcome.served && !outcome.resumed);
        assert_int_equal(outcome.num_tickets, 0);
    }
    edge_server_fini(&plain);
}

// An OCSP response goes out between its thisUpdate and its nextUpdate, without a reload in between.
static void test_stapled_while_current(void **state) {
    struct world *w = *state;
    struct edge_certificate *cert = &w->server.certificates[0];
    int64_t now = clock_wall_s();
    const struct {
        int64_t from, until;
        bool stapled;
    } cases[] = {{now - 60, now + 3600, true},
                 {now - 60, INT64_MAX, true},
                 {now - 60, now, false},
                 {now + 3600, now + 7200, false}};
    assert_true(buf_append_text(&cert->staple, STAPLE));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]) * 2; i++) {
        cert->staple_from = cases[i / 2].from;
        cert->staple_until = cases[i / 2].until;
        struct outcome outcome =
            try_once(w, &(struct try){.name = "a", .version = VERSIONS[i % 2]});
        assert_true(outcome.served);
        assert_int_equal(outcome.stapled, cases[i / 2].stapled);
    }
}

// How many issuers and how many bytes of names the server's question had.
struct asked {
    size_t num, len;
};

static int note_issuers(SSL *ssl, void *arg) {
    struct asked *asked = arg;
    const STACK_OF(CRYPTO_BUFFER) *names = SSL_get0_server_requested_CAs(ssl);
    *asked = (struct asked){.num = names == NULL ? 0 : sk_CRYPTO_BUFFER_num(names)};
    for (size_t i = 0; i < asked->num; i++) {
        asked->len += CRYPTO_BUFFER_len(sk_CRYPTO_BUFFER_value(names, i));
    }
    return 1;
}

static struct asked ask(const struct edge_server *server, const char *name, uint16_t version) {
    struct raw_peer raw;
    raw_peer_init(&raw, &(struct raw_options){.server_name = name, .max_version = version});
    struct asked asked = {.num = SIZE_MAX};
    SSL_set_cert_cb(raw.ssl, note_issuers, &asked);
    struct tls_pair pair = {.chunk = SIZE_MAX, .random = 1};
    struct edge_session *session = NULL;
    pair.server.handshake = TLS_AGAIN;
    pair.server.stream = edge_session_accept(server, NULL, NULL, &session);
    assert_non_null(pair.server.stream);
    (void)raw_peer_handshake(&raw, &pair, &pair.server);
    raw_peer_fini(&raw);
    tls_pair_fini(&pair);
    return asked;
}

static void add_named_ca(struct anchors *anchors, int number) {
    char name[65];
    snprintf(name, sizeof(name), "%064d", number);
    OWNED(pki_free)
    struct pki_cert *ca = pki_issue(NULL, &(struct pki_options){.ca = true, .common_name = name});
    assert_true(anchors_add(anchors, pki_der(ca), "many", NULL));
}

// The port's list, a name's own list instead of it, and a list that is too long to be said.
static void test_issuers_are_named(void **state) {
    struct world *w = *state;
    struct edge_server server;
    make_server(w, &server, false);
    SSL_CTX_free(server.ssl);
    struct anchors *own = server.certificates[0].own_clients = anchors_new();
    assert_non_null(own);
    add_named_ca(own, 0);
    add_named_ca(own, 1);
    server.certificates[0].rules.clients = own;
    assert_true(edge_server_finish(&server, NULL, NULL));
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ask(&w->server, "a", VERSIONS[i]).num, 1);
        struct asked asked = ask(&server, "a", VERSIONS[i]);
        assert_int_equal(asked.num, 2);
        assert_true(asked.len > 2 * 64);
    }
    SSL_CTX_free(server.ssl);
    sk_CRYPTO_BUFFER_pop_free(server.certificates[0].issuers, CRYPTO_BUFFER_free);
    for (int number = 2; number < EDGE_ISSUERS_MAX / 64; number++) {
        add_named_ca(own, number);
    }
    assert_true(edge_server_finish(&server, NULL, NULL));
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ask(&server, "a", VERSIONS[i]).num, 0);
    }
    edge_server_fini(&server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_resumes_and_knows_the_client, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_for_another_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_after_a_reload, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_judged_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_with_an_expired_certificate_of_ours, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_no_tickets_unless_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stapled_while_current, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_issuers_are_named, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
