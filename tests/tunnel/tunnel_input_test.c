// Bytes of a tunnel's streams stand in an area that all connections of a worker read into.
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "agent/tunnel/tunnel.h"
#include "tests/testing/pki_identity.h"
#include "tests/tunnel/tunnel_caller.h"

#define NUM 3

// Another connection reads before the stream is read.
static void steal_input(void *arg) {
    struct tls_link *thief = arg;
    struct tls_runs runs;
    tls_link_wake(thief);
    assert_int_equal(tls_link_read_runs(thief, &runs), TLS_AGAIN);
    memset(thief->turn->input, 0xee, sizeof(thief->turn->input));
    memset(thief->turn->plain, 0xee, sizeof(thief->turn->plain));
}

// The identity of the client's next tunnel is another one, so it is another tunnel.
static void rotate_client(struct tunnel_pair *pair) {
    struct identity *old = tls_context_identity(pair->client.context);
    struct svid *svid = identity_svid(old);
    OWNED(identity_unref)
    struct identity *rotated = identity_new(2, &svid, 1, identity_bundles(old));
    struct tls_context *next = tls_context_new(rotated, span_of(NULL, 0), NULL);
    assert_non_null(next);
    tls_context_unref(pair->client.context);
    pair->client.context = next;
}

// What came for several streams is theirs, whoever reads another connection while they are woken.
static void another_reader_takes_nothing_away(void **state) {
    (void)state;
    OWNED(pki_free) struct pki_cert *ca = pki_ca();
    struct tunnel_pair *pair = tunnel_pair_new(pki_identity(ca, "spiffe://example.org/web", 1),
                                               pki_identity(ca, "spiffe://example.org/db", 1));
    static const char *const TEXTS[NUM] = {"first", "second", "third"};
    struct tunnel *tunnel = tunnel_caller_open(pair);
    struct tunnel_caller callers[NUM];
    for (int i = 0; i < NUM; i++) {
        tunnel_caller_call(&callers[i], pair, tunnel);
    }
    rotate_client(pair);
    struct tunnel *other = tunnel_caller_open(pair);
    assert_ptr_not_equal(other, tunnel);
    for (int i = 0; i < NUM; i++) {
        callers[i].before_read = steal_input;
        callers[i].arg = &other->link;
        tunnel_caller_say(&callers[i], TEXTS[i]);
    }
    for (int i = 0; i < NUM; i++) {
        tunnel_pair_run_until(pair, &callers[i].num_bytes, (int)strlen(TEXTS[i]));
        assert_memory_equal(buf_span(&callers[i].got).ptr, TEXTS[i], strlen(TEXTS[i]));
        callers[i].leg.leg.ops->reset(&callers[i].leg.leg);
        buf_fini(&callers[i].got);
    }
    tunnel_pair_free(pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_reader_takes_nothing_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
