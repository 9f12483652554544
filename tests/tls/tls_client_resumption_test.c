// Resumption by our clients: towards our own servers, and towards others in TLS 1.2 and 1.3.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/tls/session_cache.h"
#include "base/clock.h"
#include "certmgr/verify_cache.h"
#include "tests/tls/session_fixture.h"

static struct netaddr addr_of(const char *text) {
    struct netaddr addr;
    assert_true(netaddr_parse(&addr, span_of_text(text), NULL));
    return addr;
}

struct asked {
    int num;
    bool refuse;
};

static bool accept_or_not(void *arg, const struct peer *peer) {
    struct asked *asked = arg;
    asked->num++;
    assert_true(peer->id.len == 0 || strcmp(peer->id.text, SERVER_ID) == 0);
    return !asked->refuse;
}

struct end {
    bool ok;
    bool resumed;
    enum verify_result refusal;
    bool not_accepted;
};

// --- towards our own server ----------------------------------------------------------------------

static struct end finish(struct tls_pair *pair) {
    const struct tls_stream *client = pair->client.stream;
    struct end end = {.ok = pair->client.handshake == TLS_OK && pair->server.handshake == TLS_OK,
                      .resumed = tls_stream_is_resumed(client),
                      .refusal = tls_stream_refusal(client),
                      .not_accepted = tls_stream_was_not_accepted(client)};
    if (end.ok) {
        size_t n = 0;
        uint8_t out[16];
        assert_string_equal(tls_stream_peer(pair->server.stream)->id.text, SERVER_ID);
        assert_string_equal(tls_stream_peer(client)->id.text, SERVER_ID);
        assert_int_equal(tls_side_write(pair, &pair->server, span_of_text("yes"), &n), TLS_OK);
        assert_int_equal(tls_side_read(pair, &pair->client, span_of(out, sizeof(out)), &n), TLS_OK);
        assert_true(tls_stream_is_resumed(pair->server.stream) == end.resumed);
    }
    return end;
}

static struct end connect_mesh(struct tls_context *client, struct tls_context *server,
                               const struct tls_expectation *expect) {
    struct tls_pair pair;
    tls_pair_init(&pair, &(struct tls_pair_options){
                             .client = client, .server = server, .client_expects = *expect});
    tls_pair_handshake(&pair);
    struct end end = finish(&pair);
    tls_pair_fini(&pair);
    return end;
}

// The fixture's context is both ends: the same identity.
static void the_second_connection_resumes(void **state) {
    const struct session_fixture *fixture = *state;
    struct netaddr addr = addr_of("10.0.0.1:15008");
    struct asked asked = {0};
    struct tls_expectation expect = {.accept = accept_or_not, .arg = &asked, .addr = &addr};
    for (int i = 0; i < 5; i++) {
        struct end end = connect_mesh(fixture->server, fixture->server, &expect);
        assert_true(end.ok);
        assert_true(end.resumed == (i > 0));
        assert_int_equal(asked.num, i + 1); // authorised each time
    }
    struct verify_cache *verdicts = identity_verify_cache(tls_context_identity(fixture->server));
    assert_int_equal(verify_cache_counts(verdicts).misses, 2); // once for each role
    assert_int_equal(verify_cache_counts(verdicts).hits, 8);
}

static void another_endpoint_does_not(void **state) {
    const struct session_fixture *fixture = *state;
    struct netaddr addr = addr_of("10.0.0.1:15008");
    struct netaddr host = addr_of("10.0.0.2:15008");
    struct netaddr port = addr_of("10.0.0.1:15009");
    struct netaddr six = addr_of("[::a00:1]:15008");
    char *peers[] = {(char *)(uintptr_t)SERVER_ID, (char *)(uintptr_t) "spiffe://example.org/x"};
    struct tls_expectation first = {.addr = &addr, .peers = peers, .num_peers = 1};
    const struct tls_expectation others[] = {
        {.addr = &host, .peers = peers, .num_peers = 1},
        {.addr = &port, .peers = peers, .num_peers = 1},
        {.addr = &six, .peers = peers, .num_peers = 1},
        {.addr = &addr, .peers = peers, .num_peers = 2},
        {.addr = &addr, .peers = peers + 1, .num_peers = 1},
        {.addr = &addr},
        {.peers = peers, .num_peers = 1}, // nameless: nothing is kept or offered
    };
    assert_true(connect_mesh(fixture->server, fixture->server, &first).ok);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct end end = connect_mesh(fixture->server, fixture->server, &others[i]);
        assert_true(end.ok && !end.resumed);
    }
    assert_true(connect_mesh(fixture->server, fixture->server, &first).resumed);
}

// Whatever of ours changes, a new context knows no sessions.
static void another_context_does_not(void **state) {
    const struct session_fixture *fixture = *state;
    struct netaddr addr = addr_of("10.0.0.1:15008");
    struct tls_expectation expect = {.addr = &addr};
    assert_true(connect_mesh(fixture->server, fixture->server, &expect).ok);
    struct tls_context *next =
        session_fixture_context(fixture, &(struct session_variant){.shares_keys = true});
    struct end end = connect_mesh(next, fixture->server, &expect);
    assert_true(end.ok && !end.resumed);
    tls_context_unref(next);
}

// The server changed: the session is of no use, and nothing is lost by trying it.
static void a_server_that_changed_is_served_in_full(void **state) {
    const struct session_fixture *fixture = *state;
    struct netaddr addr = addr_of("10.0.0.1:15008");
    struct tls_expectation expect = {.addr = &addr};
    struct tls_context *changed = session_fixture_context(
        fixture, &(struct session_variant){.shares_keys = true, .policy = "another"});
    for (int i = 0; i < 100; i++) {
        struct tls_context *server = i % 2 == 0 ? fixture->server : changed;
        struct end end = connect_mesh(fixture->server, server, &expect);
        assert_true(end.ok && !end.resumed);
    }
    tls_context_unref(changed);
}

static void a_peer_that_is_not_accepted_any_more_is_refused(void **state) {
    const struct session_fixture *fixture = *state;
    struct netaddr addr = addr_of("10.0.0.1:15008");
    struct asked asked = {0};
    struct tls_expectation expect = {.accept = accept_or_not, .arg = &asked, .addr = &addr};
    assert_true(connect_mesh(fixture->server, fixture->server, &expect).ok);
    asked.refuse = true;
    struct end end = connect_mesh(fixture->server, fixture->server, &expect);
    assert_true(end.resumed && end.not_accepted && !end.ok);
}

// A ticket is used once: connections at the same time do not share it.
static void one_ticket_serves_one_connection(void **state) {
    const struct session_fixture *fixture = *state;
    struct netaddr addr = addr_of("10.0.0.1:15008");
    struct tls_expectation expect = {.addr = &addr};
    assert_true(connect_mesh(fixture->server, fixture->server, &expect).ok);
    struct tls_pair pairs[2];
    for (int i = 0; i < 2; i++) {
        tls_pair_init(&pairs[i], &(struct tls_pair_options){.client = fixture->server,
                                                            .server = fixture->server,
                                                            .client_expects = expect});
    }
    for (int i = 0; i < 2; i++) {
        tls_pair_handshake(&pairs[i]);
        struct end end = finish(&pairs[i]);
        assert_true(end.ok);
        assert_true(end.resumed == (i == 0));
        tls_pair_fini(&pairs[i]);
    }
}

// --- towards other servers -----------------------------------------------------------------------

struct outside {
    uint16_t max_version;
    const char *server_name;
};
static const struct outside outsides[] = {
    {TLS1_3_VERSION, NULL},
    {TLS1_3_VERSION, "config.internal"},
    {TLS1_2_VERSION, NULL},
    {TLS1_2_VERSION, "config.internal"},
};

// A server with a certificate of `ca` that keeps its ticket keys.
static struct end connect_outside(const struct session_fixture *fixture,
                                  const struct outside *outside, struct tls_context *client,
                                  struct tls_expectation *expect) {
    static const uint8_t ticket_keys[SESSION_TICKET_KEYS_LEN] = {1, 2, 3};
    struct pki_options options = {.uris = {span_of_text(SERVER_ID)},
                                  .dns = {span_of_text("config.internal")},
                                  .not_after = clock_wall_s() + 1000};
    OWNED(pki_free) struct pki_cert *leaf = pki_issue(fixture->ca, &options);
    CRYPTO_BUFFER *chain[] = {pki_buffer(leaf)};
    struct raw_peer raw;
    raw_peer_init(&raw, &(struct raw_options){.server = true,
                                              .ask_certificate = true,
                                              .max_version = outside->max_version,
                                              .chain = chain,
                                              .num_chain = 1,
                                              .key = pki_key(leaf),
                                              .ticket_keys = ticket_keys});
    expect->server_name = outside->server_name;
    struct tls_pair pair;
    tls_pair_init(&pair, &(struct tls_pair_options){.client = client,
                                                    .server = client, // not used
                                                    .client_use = TLS_MUTUAL_CLIENT,
                                                    .client_expects = *expect});
    raw_peer_handshake(&raw, &pair, &pair.client);
    struct end end = {.ok = pair.client.handshake == TLS_OK,
                      .resumed = tls_stream_is_resumed(pair.client.stream),
                      .refusal = tls_stream_refusal(pair.client.stream),
                      .not_accepted = tls_stream_was_not_accepted(pair.client.stream)};
    if (end.ok) {
        assert_int_equal(SSL_write(raw.ssl, "yes", 3), 3);
        raw_peer_send(&raw, &pair.client);
        assert_int_equal(tls_side_drain(&pair, &pair.client), TLS_OK);
        assert_true(SSL_session_reused(raw.ssl) == end.resumed);
    }
    raw_peer_fini(&raw);
    tls_pair_fini(&pair);
    return end;
}

static void other_servers_resume_too(void **state) {
    const struct session_fixture *fixture = *state;
    struct netaddr addr = addr_of("10.0.0.9:443");
    for (size_t i = 0; i < sizeof(outsides) / sizeof(outsides[0]); i++) {
        struct asked asked = {0};
        struct tls_expectation expect = {.accept = accept_or_not, .arg = &asked, .addr = &addr};
        struct tls_context *client = session_fixture_context(fixture, &(struct session_variant){0});
        for (int round = 0; round < 4; round++) {
            struct end end = connect_outside(fixture, &outsides[i], client, &expect);
            assert_true(end.ok);
            assert_true(end.resumed == (round > 0));
            assert_int_equal(asked.num, round + 1);
        }
        asked.refuse = true;
        struct end end = connect_outside(fixture, &outsides[i], client, &expect);
        assert_true(!end.ok && end.resumed && end.not_accepted);
        // By another name it is another server, even at the same address.
        asked.refuse = false;
        struct outside other = outsides[i];
        other.server_name = other.server_name == NULL ? "config.internal" : NULL;
        end = connect_outside(fixture, &other, client, &expect);
        assert_true(end.ok && !end.resumed);
        tls_context_unref(client);
    }
}

static void a_session_is_not_offered_after_its_certificate(void **state) {
    const struct session_fixture *fixture = *state;
    struct netaddr addr = addr_of("10.0.0.9:443");
    struct tls_expectation expect = {.addr = &addr};
    for (size_t i = 0; i < sizeof(outsides) / sizeof(outsides[0]); i++) {
        struct tls_context *client = session_fixture_context(fixture, &(struct session_variant){0});
        assert_true(connect_outside(fixture, &outsides[i], client, &expect).ok);
        session_fixture_move_clock(1500); // the server has a new certificate by then
        session_fixture_move_library_clock(1500);
        struct end end = connect_outside(fixture, &outsides[i], client, &expect);
        assert_true(end.ok && !end.resumed);
        session_fixture_move_clock(-1500);
        session_fixture_move_library_clock(-1500);
        tls_context_unref(client);
    }
}

// The second line of defence: a session that came into a context where its chain is not trusted.
static void a_smuggled_session_is_verified(void **state) {
    const struct session_fixture *fixture = *state;
    struct netaddr addr = addr_of("10.0.0.9:443");
    struct tls_expectation expect = {.addr = &addr};
    OWNED(pki_free) struct pki_cert *other_ca = pki_ca();
    for (size_t i = 0; i < sizeof(outsides) / sizeof(outsides[0]); i++) {
        struct tls_context *old = session_fixture_context(fixture, &(struct session_variant){0});
        struct tls_context *new = session_fixture_context(
            fixture, &(struct session_variant){.root = other_ca, .shares_id = old});
        assert_true(connect_outside(fixture, &outsides[i], old, &expect).ok);
        struct session_endpoint endpoint = {
            .use = TLS_MUTUAL_CLIENT, .addr = &addr, .server_name = outsides[i].server_name};
        uint8_t key[SESSION_CACHE_KEY_LEN];
        session_cache_key(&endpoint, key);
        SSL_SESSION *session = session_cache_take(tls_context_sessions(old), key);
        assert_non_null(session);
        session_cache_put(tls_context_sessions(new), key, session);
        struct end end = connect_outside(fixture, &outsides[i], new, &expect);
        assert_true(end.resumed && !end.ok);
        assert_int_equal(end.refusal, VERIFY_UNTRUSTED);
        tls_context_unref(old);
        tls_context_unref(new);
    }
}

int main(void) {
#define TEST(f)                                                                                    \
    cmocka_unit_test_setup_teardown(f, session_fixture_set_up, session_fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_second_connection_resumes),
        TEST(another_endpoint_does_not),
        TEST(another_context_does_not),
        TEST(a_server_that_changed_is_served_in_full),
        TEST(a_peer_that_is_not_accepted_any_more_is_refused),
        TEST(one_ticket_serves_one_connection),
        TEST(other_servers_resume_too),
        TEST(a_session_is_not_offered_after_its_certificate),
        TEST(a_smuggled_session_is_verified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
