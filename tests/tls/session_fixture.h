// What the resumption tests start from: one client identity that a raw client shows, one server
// identity, and contexts of the server that differ in exactly one thing. Time is simulated: our own
// clock and BoringSSL's move when told (link with --wrap=clock_wall_s).
#ifndef TESTS_TLS_SESSION_FIXTURE_H
#define TESTS_TLS_SESSION_FIXTURE_H

#include <openssl/ssl.h>

#include "tests/tls/raw_peer.h"
#include "tests/tls/tls_fixture.h"

#define SESSION_TICKET_KEYS_LEN 48

// What a context is made of; NULL and zero: as usual.
struct session_variant {
    const char *policy;
    const char *other_domain;       // a further trust domain in the bundle
    const struct pki_cert *root;    // instead of the CA that issued everybody
    const struct pki_cert *revoked; // by a CRL of that CA
    struct svid *own;               // another certificate; borrowed
    bool shares_keys;               // the ticket keys are those of the fixture's server
    struct tls_context *shares_id;  // the session-id context is made equal to this one's
};

struct session_fixture {
    struct pki_cert *ca;
    struct pki_cert *leaf;      // the raw client's
    struct svid *own;           // the server's
    struct tls_context *server; // with ticket keys that others can share
};

// For cmocka's set-up and tear-down of one test. Time is real again at the end.
int session_fixture_set_up(void **state);
int session_fixture_tear_down(void **state);

struct tls_context *session_fixture_context(const struct session_fixture *fixture,
                                            const struct session_variant *variant);

// One connection of the raw client with `leaf` to `server`, offering `session` (may be NULL).
struct session_try {
    const struct pki_cert *leaf;
    struct tls_context *server;
    SSL_SESSION *session;
    bool (*accept)(void *arg, const struct peer *peer);
    void *arg;
};
struct session_outcome {
    bool served;  // the server has verified the client and answered
    bool resumed; // without a certificate on the wire
    int num_tickets;
    SSL_SESSION *session;       // the new one, the caller's; NULL when there is none
    enum verify_result refusal; // the server's
    bool not_accepted;          // the server's
    int alert;                  // received by the client
};
struct session_outcome session_fixture_connect(const struct session_try *attempt);

void session_fixture_move_clock(int64_t seconds);         // ours
void session_fixture_move_library_clock(int64_t seconds); // BoringSSL's
void session_fixture_use_clock(struct tls_context *context);

#endif
