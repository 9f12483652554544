// What most TLS tests start from: a CA and the contexts of a client and a server that it issued.
#ifndef TESTS_TLS_TLS_FIXTURE_H
#define TESTS_TLS_TLS_FIXTURE_H

#include <stdbool.h>

#include "agent/tls/tls_context.h"
#include "tests/testing/pki_identity.h"
#include "tests/tls/tls_pair.h"

#define CLIENT_ID "spiffe://example.org/client"
#define SERVER_ID "spiffe://example.org/server"

struct tls_fixture {
    struct pki_cert *ca;
    struct tls_context *client;
    struct tls_context *server;
};

// For cmocka_run_group_tests.
int tls_fixture_set_up(void **state);
int tls_fixture_tear_down(void **state);

// The context of a new identity that trusts its own issuer.
struct tls_context *tls_fixture_context(const struct pki_cert *ca, const char *id);
// The same from the parts: takes both references.
struct tls_context *tls_fixture_context_of(struct svid *svid, struct bundle_set *bundles);

// A pair of the fixture's contexts, before and after the handshake.
void tls_fixture_pair(const struct tls_fixture *fixture, struct tls_pair *pair, bool no_scratch);
void tls_fixture_connect(const struct tls_fixture *fixture, struct tls_pair *pair, bool no_scratch);

#endif
