// What handshakes cost, for people to look at (nothing is asserted): CPU time of both ends together
// for a full handshake with and without a cached verdict, and for a resumed one. Chains are leaf
// and intermediate, P-256.
#include <stdio.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"
#include "tests/testing/pki_identity.h"
#include "tests/tls/tls_pair.h"

#define ROUNDS 3000

static double cpu_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

struct world {
    struct svid *svid;
    struct bundle_set *bundles;
};

static struct world make_world(void) {
    struct pki_cert *root = pki_ca();
    struct pki_cert *intermediate = pki_intermediate(root);
    struct pki_cert *leaf = pki_leaf(intermediate, "spiffe://example.org/ns/default/sa/web");
    const struct pki_cert *certs[] = {leaf, intermediate};
    struct pki_bytes *chain = pki_concat(certs, 2);
    struct world world = {.svid = svid_parse(pki_span(chain), pki_key_der(leaf), span_of(NULL, 0),
                                             span_of(NULL, 0), NULL),
                          .bundles = pki_bundles("example.org", root)};
    CHECK(world.svid != NULL);
    pki_bytes_free(chain);
    pki_free(leaf);
    pki_free(intermediate);
    pki_free(root);
    return world;
}

static struct tls_context *make_context(const struct world *world) {
    struct svid *svid = world->svid;
    struct identity *identity = identity_new(1, &svid, 1, world->bundles);
    struct tls_context *context = tls_context_new(identity, span_of_text("policy"), NULL);
    CHECK(context != NULL);
    identity_unref(identity);
    return context;
}

// One connection of the context with itself; the CPU time of the handshake.
static double connect_once(struct tls_context *context, const struct netaddr *addr, bool resumed) {
    struct tls_pair pair;
    tls_pair_init(&pair, &(struct tls_pair_options){
                             .client = context, .server = context, .client_expects.addr = addr});
    double start = cpu_us();
    tls_pair_handshake(&pair);
    size_t n = 0;
    uint8_t out[16];
    CHECK(tls_side_write(&pair, &pair.server, span_of_text("x"), &n) == TLS_OK);
    CHECK(tls_side_read(&pair, &pair.client, span_of(out, sizeof out), &n) == TLS_OK);
    double spent = cpu_us() - start;
    CHECK(tls_stream_is_resumed(pair.client.stream) == resumed);
    tls_pair_fini(&pair);
    return spent;
}

static double measure_verification(const struct world *world) {
    size_t num = 0;
    CRYPTO_BUFFER *const *chain = svid_chain(world->svid, &num);
    struct peer peer;
    double start = cpu_us();
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(verify_peer(world->bundles,
                          &(struct verify_question){.chain = chain,
                                                    .num_chain = num,
                                                    .role = VERIFY_CLIENT,
                                                    .now = clock_wall_s()},
                          &peer, NULL) == VERIFY_OK);
    }
    return (cpu_us() - start) / ROUNDS;
}

int main(void) {
    struct world world = make_world();
    struct tls_context *context = make_context(&world);
    struct netaddr addr = {.family = NETADDR_V4, .ip = {127, 0, 0, 1}, .port = 15008};
    double cached = 0;
    double first = 0;
    double resumed = 0;
    connect_once(context, NULL, false); // verdicts
    connect_once(context, &addr, false);
    for (int i = 0; i < ROUNDS; i++) {
        cached += connect_once(context, NULL, false) / ROUNDS;
        resumed += connect_once(context, &addr, true) / ROUNDS;
        struct tls_context *fresh = make_context(&world);
        first += connect_once(fresh, NULL, false) / ROUNDS;
        tls_context_unref(fresh);
    }
    printf("us of CPU, both ends together:\n  full, chains verified: %.0f\n"
           "  full, chains known:    %.0f\n  resumed:               %.0f\n"
           "  one verification:      %.0f\n",
           first, cached, resumed, measure_verification(&world));
    tls_context_unref(context);
    bundle_set_unref(world.bundles);
    svid_unref(world.svid);
    return 0;
}
