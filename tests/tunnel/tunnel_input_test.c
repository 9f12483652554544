// Bytes of a tunnel's streams stand in an area that all connections of a worker read into.
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "agent/tunnel/tunnel.h"
#include "tests/testing/pki_identity.h"
#include "tests/tunnel/tunnel_pair.h"

#define NUM 3

// A stream whose owner, when woken, first lets another connection read.
struct caller {
    struct leg_stream leg;
    struct buf got;
    int num_bytes;
    struct tls_link *thief; // NULL: nobody reads in between
};

static void steal_input(struct tls_link *thief) {
    struct tls_runs runs;
    tls_link_wake(thief);
    assert_int_equal(tls_link_read_runs(thief, &runs), TLS_AGAIN);
    memset(thief->turn->input, 0xee, sizeof(thief->turn->input));
    memset(thief->turn->plain, 0xee, sizeof(thief->turn->plain));
}

static void wake_caller(void *arg) {
    struct caller *caller = arg;
    struct leg *leg = &caller->leg.leg;
    struct leg_runs offer;
    if (caller->thief != NULL) {
        steal_input(caller->thief);
    }
    while (leg->ops->peek(leg, LEG_ROOM_UNKNOWN, &offer) == LEG_OK) {
        for (int i = 0; i < offer.num; i++) {
            assert_true(buf_append(&caller->got, offer.run[i].iov_base, offer.run[i].iov_len));
        }
        caller->num_bytes += (int)offer.len;
        assert_true(leg->ops->consume(leg, &offer, offer.len));
    }
}

static struct tunnel *open_tunnel(struct tunnel_pair *pair) {
    struct tunnel *tunnel = tunnel_pair_get(pair);
    tunnel_pair_run_until(pair, &pair->client.num_opened, pair->client.num_opened + 1);
    tunnel_pair_settle(pair);
    return tunnel;
}

static void call(struct tunnel_pair *pair, struct caller *caller, struct tunnel *tunnel) {
    struct netaddr to = {.family = NETADDR_V4, .ip = {10, 0, 0, 2}, .port = 6379};
    *caller = (struct caller){.num_bytes = 0};
    assert_true(leg_stream_open(&caller->leg, tunnel, &to, &pair->addr,
                                (struct leg_owner){wake_caller, caller}));
}

static void say(struct caller *caller, const char *text) {
    uint8_t bytes[LEG_HEADROOM + 64];
    size_t len = strlen(text);
    memcpy(bytes + LEG_HEADROOM, text, len);
    struct leg_runs runs = {.num = 1, .len = len};
    runs.run[0] = (struct iovec){.iov_base = bytes + LEG_HEADROOM, .iov_len = len};
    size_t taken = 0;
    assert_int_equal(caller->leg.leg.ops->write(&caller->leg.leg, &runs, &taken), LEG_OK);
    assert_int_equal(taken, len);
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
    struct tunnel *tunnel = open_tunnel(pair);
    struct caller callers[NUM];
    for (int i = 0; i < NUM; i++) {
        call(pair, &callers[i], tunnel);
    }
    rotate_client(pair);
    struct tunnel *other = open_tunnel(pair);
    assert_ptr_not_equal(other, tunnel);
    for (int i = 0; i < NUM; i++) {
        callers[i].thief = &other->link;
        say(&callers[i], TEXTS[i]);
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
