// Resumption of sessions at our servers: a session is good for the context that
// it was made with, and only for as long as the client would be let in without it.
//
// Every cell that must not resume is tried with the ticket keys made equal, so that nothing but the
// session-id context stands in the way; the same cells with that made equal too do resume, which is
// what they would do without the binding.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/tls/tls_verify.h"
#include "base/clock.h"
#include "tests/tls/session_fixture.h"

#define TRIES 1000 // reliability target R12

static struct session_outcome try_with(const struct session_fixture *fixture,
                                       struct tls_context *server, SSL_SESSION *session) {
    struct session_try attempt = {.leaf = fixture->leaf, .server = server, .session = session};
    struct session_outcome outcome = session_fixture_connect(&attempt);
    assert_false(outcome.served && outcome.alert != 0);
    return outcome;
}

static SSL_SESSION *get_session(const struct session_fixture *fixture) {
    struct session_outcome first = try_with(fixture, fixture->server, NULL);
    assert_true(first.served);
    assert_false(first.resumed);
    assert_non_null(first.session);
    return first.session;
}

static struct session_outcome try_variant(const struct session_fixture *fixture,
                                          const struct session_variant *variant,
                                          SSL_SESSION *session) {
    struct tls_context *changed = session_fixture_context(fixture, variant);
    struct session_outcome outcome = try_with(fixture, changed, session);
    SSL_SESSION_free(outcome.session);
    tls_context_unref(changed);
    return outcome;
}

static bool count_peer(void *arg, const struct peer *peer) {
    assert_string_equal(peer->id.text, CLIENT_ID);
    *(int *)arg += 1;
    return true;
}

static void an_unchanged_context_resumes(void **state) {
    const struct session_fixture *fixture = *state;
    int num_asked = 0;
    SSL_SESSION *session = NULL;
    for (int i = 0; i < 3; i++) {
        struct session_try attempt = {.leaf = fixture->leaf,
                                      .server = fixture->server,
                                      .session = session,
                                      .accept = count_peer,
                                      .arg = &num_asked};
        struct session_outcome outcome = session_fixture_connect(&attempt);
        assert_true(outcome.served);
        assert_true(outcome.resumed == (i > 0));
        assert_int_equal(outcome.num_tickets, 1);
        assert_int_equal(num_asked, i + 1); // authorised each time
        assert_false(SSL_SESSION_early_data_capable(outcome.session));
        SSL_SESSION_free(session);
        session = outcome.session;
    }
    SSL_SESSION_free(session);
}

// The control of the tables below: equal content and equal keys resume, other keys do not.
static void keys_belong_to_a_context(void **state) {
    const struct session_fixture *fixture = *state;
    SSL_SESSION *session = get_session(fixture);
    struct session_outcome shared =
        try_variant(fixture, &(struct session_variant){.shares_keys = true}, session);
    assert_true(shared.served && shared.resumed);
    struct session_outcome fresh = try_variant(fixture, &(struct session_variant){0}, session);
    assert_true(fresh.served && !fresh.resumed);
    SSL_SESSION_free(session);
}

enum { POLICY, BUNDLE, CRL, OWN, NUM_CELLS };
static const char *const labels[] = {"policy", "bundle", "revocation list", "own identity"};

// What leaves the client acceptable, so that a full handshake succeeds.
static struct session_variant cell(int which, struct svid *other_own,
                                   const struct pki_cert *stranger) {
    struct session_variant variant = {.shares_keys = true};
    variant.policy = which == POLICY ? "another policy" : NULL;
    variant.other_domain = which == BUNDLE ? "example.com" : NULL;
    variant.revoked = which == CRL ? stranger : NULL;
    variant.own = which == OWN ? other_own : NULL;
    return variant;
}

static void a_change_makes_a_full_handshake(void **state) {
    const struct session_fixture *fixture = *state;
    struct svid *rotated = pki_svid(fixture->ca, SERVER_ID);
    struct pki_cert *stranger = pki_leaf(fixture->ca, "spiffe://example.org/stranger");
    SSL_SESSION *session = get_session(fixture);
    for (int which = 0; which < NUM_CELLS; which++) {
        struct session_variant variant = cell(which, rotated, stranger);
        struct tls_context *changed = session_fixture_context(fixture, &variant);
        int num_resumed = 0;
        int num_served = 0;
        for (int i = 0; i < TRIES; i++) {
            struct session_outcome outcome = try_with(fixture, changed, session);
            num_resumed += outcome.resumed;
            num_served += outcome.served;
            SSL_SESSION_free(outcome.session);
        }
        print_message("    %s: %d of %d resumed\n", labels[which], num_resumed, TRIES);
        assert_int_equal(num_resumed, 0);
        assert_int_equal(num_served, TRIES);
        tls_context_unref(changed);
    }
    SSL_SESSION_free(session);
    pki_free(stranger);
    svid_unref(rotated);
}

static void without_the_binding_each_change_would_resume(void **state) {
    const struct session_fixture *fixture = *state;
    struct svid *rotated = pki_svid(fixture->ca, SERVER_ID);
    struct pki_cert *stranger = pki_leaf(fixture->ca, "spiffe://example.org/stranger");
    SSL_SESSION *session = get_session(fixture);
    for (int which = 0; which < NUM_CELLS; which++) {
        struct session_variant variant = cell(which, rotated, stranger);
        variant.shares_id = fixture->server;
        struct session_outcome outcome = try_variant(fixture, &variant, session);
        assert_true(outcome.served && outcome.resumed);
    }
    SSL_SESSION_free(session);
    pki_free(stranger);
    svid_unref(rotated);
}

struct loss {
    const char *label;
    bool root_removed;
    bool is_revoked;
    bool has_expired;
    enum verify_result result;
    int alert;
};

static const struct loss losses[] = {
    {"root removed", true, false, false, VERIFY_UNTRUSTED, -SSL_AD_UNKNOWN_CA},
    {"revoked", false, true, false, VERIFY_REVOKED, -SSL_AD_CERTIFICATE_REVOKED},
    {"expired", false, false, true, VERIFY_EXPIRED, -SSL_AD_CERTIFICATE_EXPIRED},
};

// Both lines of defence: with `unbound` the session is resumed, and refused for what it says.
static void check_loss(struct session_fixture *fixture, const struct loss *loss, bool unbound) {
    print_message("    %s%s\n", loss->label, unbound ? ", no binding" : "");
    OWNED(pki_free) struct pki_cert *other_ca = pki_ca();
    pki_free(fixture->leaf);
    struct pki_options options = {.uris = {span_of_text(CLIENT_ID)},
                                  .not_after = clock_wall_s() + 1000};
    fixture->leaf = pki_issue(fixture->ca, &options);
    SSL_SESSION *session = get_session(fixture);
    struct session_variant variant = {
        .shares_keys = true,
        .shares_id = unbound ? fixture->server : NULL,
        .root = loss->root_removed ? other_ca : NULL,
        .revoked = loss->is_revoked ? fixture->leaf : NULL,
    };
    int64_t step = loss->has_expired ? 2000 : 0;
    session_fixture_move_clock(step);
    session_fixture_move_library_clock(unbound ? 0 : step);
    struct session_outcome outcome = try_variant(fixture, &variant, session);
    assert_false(outcome.served);
    assert_true(outcome.resumed == unbound);
    assert_int_equal(outcome.refusal, loss->result);
    assert_int_equal(outcome.alert, loss->alert);
    session_fixture_move_clock(-step);
    session_fixture_move_library_clock(unbound ? 0 : -step);
    SSL_SESSION_free(session);
}

static void a_client_that_lost_its_right_is_refused(void **state) {
    for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++) {
        check_loss(*state, &losses[i], false);
        check_loss(*state, &losses[i], true);
    }
}

// On the very same context a certificate may still end before its session.
static void expiry_is_seen_by_the_same_context(void **state) {
    struct session_fixture *fixture = *state;
    pki_free(fixture->leaf);
    struct pki_options options = {.uris = {span_of_text(CLIENT_ID)},
                                  .not_after = clock_wall_s() + 1000};
    fixture->leaf = pki_issue(fixture->ca, &options);
    SSL_SESSION *session = get_session(fixture);
    session_fixture_move_clock(2000); // the library alone would resume
    struct session_outcome outcome = try_with(fixture, fixture->server, session);
    assert_true(outcome.resumed);
    assert_false(outcome.served);
    assert_int_equal(outcome.refusal, VERIFY_EXPIRED);
    SSL_SESSION_free(outcome.session);
    SSL_SESSION_free(session);
}

static bool refuse_peer(void *arg, const struct peer *peer) {
    (void)peer;
    *(int *)arg += 1;
    return false;
}

static void a_client_that_is_not_accepted_any_more_is_refused(void **state) {
    const struct session_fixture *fixture = *state;
    SSL_SESSION *session = get_session(fixture);
    int num_asked = 0;
    struct session_try attempt = {.leaf = fixture->leaf,
                                  .server = fixture->server,
                                  .session = session,
                                  .accept = refuse_peer,
                                  .arg = &num_asked};
    struct session_outcome outcome = session_fixture_connect(&attempt);
    assert_true(outcome.resumed);
    assert_false(outcome.served);
    assert_true(outcome.not_accepted);
    assert_int_equal(num_asked, 1);
    assert_int_equal(outcome.alert, -SSL_AD_ACCESS_DENIED);
    SSL_SESSION_free(outcome.session);
    SSL_SESSION_free(session);
}

static uint32_t lifetime_with(struct session_fixture *fixture, int64_t peer_left,
                              int64_t own_left) {
    int64_t now = clock_wall_s();
    struct pki_options peer = {.uris = {span_of_text(CLIENT_ID)}, .not_after = now + peer_left};
    struct pki_options own = {.uris = {span_of_text(SERVER_ID)}, .not_after = now + own_left};
    OWNED(pki_free) struct pki_cert *leaf = pki_issue(fixture->ca, &peer);
    OWNED(svid_unref) struct svid *svid = pki_svid_with(fixture->ca, &own);
    struct tls_context *server =
        session_fixture_context(fixture, &(struct session_variant){.own = svid});
    struct session_outcome outcome =
        session_fixture_connect(&(struct session_try){.leaf = leaf, .server = server});
    assert_true(outcome.served);
    uint32_t lifetime = SSL_SESSION_get_timeout(outcome.session);
    SSL_SESSION_free(outcome.session);
    tls_context_unref(server);
    return lifetime;
}

static void a_session_ends_with_the_first_certificate(void **state) {
    uint32_t lifetime = lifetime_with(*state, 500, 1000);
    assert_in_range(lifetime, 400, 500);
    lifetime = lifetime_with(*state, 1000, 500);
    assert_in_range(lifetime, 400, 500);
    lifetime = lifetime_with(*state, 86400, 86400);
    assert_in_range(lifetime, TLS_SESSION_LIFETIME_S - 100, TLS_SESSION_LIFETIME_S);
}

// However often it is resumed, a session ends an hour after its full handshake.
static void renewing_does_not_extend(void **state) {
    const struct session_fixture *fixture = *state;
    SSL_SESSION *session = get_session(fixture);
    for (int i = 0; i < 3; i++) {
        session_fixture_move_clock(1000);
        session_fixture_move_library_clock(1000);
        struct session_outcome outcome = try_with(fixture, fixture->server, session);
        assert_true(outcome.served && outcome.resumed);
        SSL_SESSION_free(session);
        session = outcome.session;
        assert_in_range(SSL_SESSION_get_timeout(session), 0,
                        (uint32_t)(TLS_SESSION_LIFETIME_S - 1000 * (i + 1)));
    }
    session_fixture_move_clock(1000);
    session_fixture_move_library_clock(1000);
    struct session_outcome outcome = try_with(fixture, fixture->server, session);
    assert_true(outcome.served && !outcome.resumed);
    SSL_SESSION_free(outcome.session);
    SSL_SESSION_free(session);
}

int main(void) {
#define TEST(f)                                                                                    \
    cmocka_unit_test_setup_teardown(f, session_fixture_set_up, session_fixture_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_unchanged_context_resumes),
        TEST(keys_belong_to_a_context),
        TEST(a_change_makes_a_full_handshake),
        TEST(without_the_binding_each_change_would_resume),
        TEST(a_client_that_lost_its_right_is_refused),
        TEST(expiry_is_seen_by_the_same_context),
        TEST(a_client_that_is_not_accepted_any_more_is_refused),
        TEST(a_session_ends_with_the_first_certificate),
        TEST(renewing_does_not_extend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
