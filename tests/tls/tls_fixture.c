#include "tests/tls/tls_fixture.h"

#include <stdlib.h>

#include "base/check.h"

struct tls_context *tls_fixture_context(const struct pki_cert *ca, const char *id) {
    OWNED(identity_unref) struct identity *identity = pki_identity(ca, id, 1);
    struct err err = {0};
    struct tls_context *context = tls_context_new(identity, span_of_text("policy"), &err);
    CHECK(context != NULL);
    return context;
}

struct tls_context *tls_fixture_context_of(struct svid *svid, struct bundle_set *bundles) {
    OWNED(identity_unref) struct identity *identity = identity_new(1, &svid, 1, bundles);
    CHECK(identity != NULL);
    struct err err = {0};
    struct tls_context *context = tls_context_new(identity, span_of_text("policy"), &err);
    CHECK(context != NULL);
    svid_unref(svid);
    bundle_set_unref(bundles);
    return context;
}

int tls_fixture_set_up(void **state) {
    struct tls_fixture *fixture = calloc(1, sizeof(*fixture));
    CHECK(fixture != NULL);
    fixture->ca = pki_ca();
    fixture->client = tls_fixture_context(fixture->ca, CLIENT_ID);
    fixture->server = tls_fixture_context(fixture->ca, SERVER_ID);
    *state = fixture;
    return 0;
}

int tls_fixture_tear_down(void **state) {
    struct tls_fixture *fixture = *state;
    tls_context_unref(fixture->client);
    tls_context_unref(fixture->server);
    pki_free(fixture->ca);
    free(fixture);
    return 0;
}

void tls_fixture_pair(const struct tls_fixture *fixture, struct tls_pair *pair, bool no_scratch) {
    tls_pair_init(pair, &(struct tls_pair_options){.client = fixture->client,
                                                   .server = fixture->server,
                                                   .no_scratch = no_scratch});
}

void tls_fixture_connect(const struct tls_fixture *fixture, struct tls_pair *pair,
                         bool no_scratch) {
    tls_fixture_pair(fixture, pair, no_scratch);
    tls_pair_handshake(pair);
    CHECK(pair->client.handshake == TLS_OK && pair->server.handshake == TLS_OK);
}
