#include "agent/tunnel/tunnel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "tests/testing/pki_identity.h"
#include "tests/tunnel/tunnel_caller.h"

#define WEB "spiffe://example.org/ns/default/sa/web"
#define DB "spiffe://example.org/ns/default/sa/db"

static struct tunnel_pair *new_pair(const char *client, const char *server) {
    OWNED(pki_free) struct pki_cert *ca = pki_ca();
    return tunnel_pair_new(pki_identity(ca, client, 1), pki_identity(ca, server, 1));
}

static void test_both_ends_know_each_other(void **state) {
    (void)state;
    struct tunnel_pair *pair = new_pair(WEB, DB);
    struct tunnel *tunnel = tunnel_caller_open(pair);
    assert_string_equal(pair->client.last_peer.id.text, DB);
    assert_string_equal(pair->server.last_peer.id.text, WEB);
    assert_true(tunnel_is_usable(tunnel, PKI_NOW_FOR_TUNNELS));
    assert_false(tunnel_is_usable(tunnel, tunnel_not_after(tunnel) + 1));
    struct tunnel_view view = {0};
    tunnel_render(tunnel, &view);
    assert_string_equal(view.state, "ready");
    assert_string_equal(view.tls_version, "TLSv1.3");
    assert_string_equal(view.aead, "boringssl"); // nothing large has gone over it
    tunnel_pair_free(pair);
}

static void test_a_stream_carries_bytes_and_both_fins(void **state) {
    (void)state;
    struct tunnel_pair *pair = new_pair(WEB, DB);
    struct tunnel *tunnel = tunnel_caller_open(pair);
    struct tunnel_caller caller;
    tunnel_caller_call(&caller, pair, tunnel);
    tunnel_caller_say(&caller, "hello, ");
    tunnel_caller_say(&caller, "world");
    tunnel_pair_run_until(pair, &caller.num_bytes, 12);
    assert_string_equal(pair->authority, "10.0.0.2:6379");
    assert_int_equal(caller.status, 200);
    assert_memory_equal(buf_span(&caller.got).ptr, "hello, world", 12);
    caller.leg.leg.ops->finish(&caller.leg.leg);
    tunnel_pair_run_until(pair, &caller.ended, 1);
    caller.leg.leg.ops->close(&caller.leg.leg);
    tunnel_pair_settle(pair);
    assert_int_equal(h2_session_num_streams(tunnel->session), 0);
    buf_fini(&caller.got);
    tunnel_pair_free(pair);
}

static void test_a_refusal_is_a_status(void **state) {
    (void)state;
    struct tunnel_pair *pair = new_pair(WEB, DB);
    struct tunnel *tunnel = tunnel_caller_open(pair);
    pair->answer = 401;
    struct tunnel_caller caller;
    tunnel_caller_call(&caller, pair, tunnel);
    tunnel_pair_run_until(pair, &caller.status, 401);
    caller.leg.leg.ops->reset(&caller.leg.leg);
    tunnel_pair_settle(pair);
    assert_int_equal(tunnel->state, TUNNEL_READY); // others go on
    tunnel_pair_free(pair);
}

static void test_a_server_of_another_name_is_refused(void **state) {
    (void)state;
    char *names[] = {(char *)(uintptr_t) "spiffe://example.org/ns/default/sa/other"};
    struct tunnel_pair *pair = new_pair(WEB, DB);
    pair->any = (struct string_list){.items = names, .num = 1};
    tunnel_pair_get(pair);
    tunnel_pair_run_until(pair, &pair->client.num_gone, 1);
    assert_int_equal(pair->client.last.reason, CLOSE_PEER_NOT_ACCEPTED);
    assert_int_equal(pair->client.num_opened, 0);
    tunnel_pair_free(pair);
}

static void test_strangers_are_refused_on_both_sides(void **state) {
    (void)state;
    OWNED(pki_free) struct pki_cert *ours = pki_ca();
    OWNED(pki_free) struct pki_cert *theirs = pki_ca();
    struct tunnel_pair *pair =
        tunnel_pair_new(pki_identity(ours, WEB, 1), pki_identity(theirs, DB, 1));
    tunnel_pair_get(pair);
    tunnel_pair_run_until(pair, &pair->client.num_gone, 1);
    tunnel_pair_run_until(pair, &pair->server.num_gone, 1);
    assert_int_equal(pair->client.last.reason, CLOSE_PEER_IDENTITY);
    assert_false(pair->client.last.unreachable);
    assert_int_equal(pair->server.num_opened, 0);
    tunnel_pair_free(pair);
}

static void test_a_closed_port_is_unreachable(void **state) {
    (void)state;
    struct tunnel_pair *pair = new_pair(WEB, DB);
    ev_io_stop(pair->loop, &pair->accept_io);
    close(pair->listener);
    pair->listener = -1;
    struct tunnel_target target = {.addr = pair->addr,
                                   .context = pair->client.context,
                                   .config = pair->config,
                                   .peers = &pair->any};
    struct tunnel_failure failure = {0};
    bool reused = false;
    if (pool_get(&pair->pool, &target, PKI_NOW_FOR_TUNNELS, &reused, &failure) != NULL) {
        tunnel_pair_run_until(pair, &pair->client.num_gone, 1);
        failure = pair->client.last;
    }
    assert_int_equal(failure.reason, CLOSE_TUNNEL_UNREACHABLE);
    assert_true(failure.unreachable);
    tunnel_pair_free(pair);
}

static void test_a_retired_server_takes_the_streams_under_way_and_ends(void **state) {
    (void)state;
    struct tunnel_pair *pair = new_pair(WEB, DB);
    struct tunnel *client = tunnel_caller_open(pair);
    struct tunnel_caller caller;
    tunnel_caller_call(&caller, pair, client);
    tunnel_retire(LIST_ENTRY(pair->server.env.tunnels.head.next, struct tunnel, node));
    tunnel_caller_say(&caller, "still here");
    tunnel_pair_run_until(pair, &caller.num_bytes, 10);
    tunnel_pair_settle(pair);
    assert_int_equal(client->state, TUNNEL_RETIRING);
    assert_false(tunnel_is_usable(client, PKI_NOW_FOR_TUNNELS));
    caller.leg.leg.ops->finish(&caller.leg.leg);
    tunnel_pair_run_until(pair, &caller.ended, 1);
    caller.leg.leg.ops->close(&caller.leg.leg);
    tunnel_mark_dirty(client);
    tunnel_pair_run_until(pair, &pair->client.num_gone, 1);
    assert_int_equal(pair->client.last.reason, CLOSE_DONE);
    buf_fini(&caller.got);
    tunnel_pair_free(pair);
}

// Writes until the tunnel takes no more, or `len` bytes; returns what it took.
static size_t fill(struct leg *leg, size_t len) {
    static uint8_t bytes[LEG_HEADROOM + 16384];
    size_t all = 0;
    enum leg_status status = LEG_OK;
    while (status == LEG_OK && all < len) {
        size_t taken = 0;
        struct leg_runs runs = {.num = 1, .len = sizeof(bytes) - LEG_HEADROOM};
        runs.run[0] = (struct iovec){.iov_base = bytes + LEG_HEADROOM, .iov_len = runs.len};
        status = leg->ops->write(leg, &runs, &taken);
        all += taken;
    }
    return all;
}

// A client that has said its FIN, a server that retires and then says its last: more than the
// client's kernel has room for.
static void test_a_retired_server_ends_when_its_last_bytes_have_arrived(void **state) {
    (void)state;
    struct tunnel_pair *pair = new_pair(WEB, DB);
    struct tunnel *client = tunnel_caller_open(pair);
    struct tunnel *server = LIST_ENTRY(pair->server.env.tunnels.head.next, struct tunnel, node);
    struct tunnel_caller caller;
    tunnel_caller_call(&caller, pair, client);
    tunnel_pair_settle(pair);
    tunnel_retire(server);
    tunnel_mark_dirty(server);
    tunnel_pair_settle(pair);
    assert_true(server->said_goaway);
    int small = 128 * 1024; // more than a segment of loopback
    assert_int_equal(setsockopt(client->link.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    caller.leg.leg.ops->finish(&caller.leg.leg);
    ev_io_stop(pair->loop, &client->io);
    size_t len = fill(&pair->streams[0].leg, 900000);
    assert_true(len >= 500000);
    tunnel_pair_settle(pair); // the FIN arrives, and is answered
    assert_int_equal(h2_session_num_streams(server->session), 0);
    assert_int_equal(pair->server.num_gone, 0);
    ev_io_start(pair->loop, &client->io);
    tunnel_pair_run_until(pair, &caller.ended, 1);
    assert_int_equal(caller.num_bytes, len);
    assert_int_equal(caller.failed, 0);
    caller.leg.leg.ops->close(&caller.leg.leg);
    tunnel_pair_run_until(pair, &pair->server.num_gone, 1);
    assert_int_equal(pair->server.last.reason, CLOSE_DONE);
    buf_fini(&caller.got);
    tunnel_pair_free(pair);
}

static void test_tunnels_that_end_leave_room_for_others(void **state) {
    (void)state;
    struct tunnel_pair *pair = new_pair(WEB, DB);
    static struct tunnel_caller callers[POOL_MAX_PER_KEY + 1];
    for (int i = 0; i <= POOL_MAX_PER_KEY; i++) { // each is kept by a stream that does not end
        struct tunnel *tunnel = tunnel_caller_open(pair);
        tunnel_caller_call(&callers[i], pair, tunnel);
        tunnel_retire(tunnel);
    }
    assert_non_null(tunnel_pair_get(pair));
    for (int i = 0; i <= POOL_MAX_PER_KEY; i++) {
        callers[i].leg.leg.ops->reset(&callers[i].leg.leg);
    }
    tunnel_pair_free(pair);
}

static void test_the_end_of_a_tunnel_fails_its_streams(void **state) {
    (void)state;
    struct tunnel_pair *pair = new_pair(WEB, DB);
    struct tunnel *tunnel = tunnel_caller_open(pair);
    struct tunnel_caller caller;
    tunnel_caller_call(&caller, pair, tunnel);
    tunnel_pair_settle(pair);
    tunnel_fail_why(LIST_ENTRY(pair->server.env.tunnels.head.next, struct tunnel, node),
                    CLOSE_AUTHORIZATION_LOST, "policy");
    tunnel_pair_run_until(pair, &caller.failed, 1);
    assert_int_equal(caller.leg.leg.failure, CLOSE_TUNNEL_LOST);
    caller.leg.leg.ops->reset(&caller.leg.leg);
    tunnel_pair_free(pair);
}

static void on_done(struct tunnel_waiter *waiter, struct tunnel *tunnel,
                    const struct tunnel_failure *failure) {
    (void)tunnel;
    int *done = (int *)(waiter + 1);
    *done = failure == NULL ? 1 : 2;
}

static void test_the_pool_makes_one_attempt_for_all_who_wait(void **state) {
    (void)state;
    struct tunnel_pair *pair = new_pair(WEB, DB);
    struct {
        struct tunnel_waiter waiter;
        int done;
    } waiting[3] = {0};
    struct tunnel *tunnel = tunnel_pair_get(pair);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(tunnel_pair_get(pair), tunnel);
        waiting[i].waiter.done = on_done;
        tunnel_wait(tunnel, &waiting[i].waiter);
    }
    tunnel_pair_run_until(pair, &waiting[2].done, 1);
    assert_int_equal(waiting[0].done, 1);
    assert_int_equal(pair->client.num_opened, 1);
    assert_ptr_equal(tunnel_pair_get(pair), tunnel); // and then it is reused
    tunnel_pair_free(pair);
}

static void congest(struct tunnel *const *tunnels, int num) {
    for (int i = 0; i < num; i++) {
        tunnels[i]->full_since_ms = 1;
    }
}

// One congestion window is the limit: bulk in one tunnel does not hold up who comes later.
static void test_congested_tunnels_get_company(void **state) {
    (void)state;
    struct tunnel_pair *pair = new_pair(WEB, DB);
    struct tunnel_caller callers[POOL_MAX_CONGESTED];
    struct tunnel *tunnels[POOL_MAX_CONGESTED];
    for (int i = 0; i < POOL_MAX_CONGESTED; i++) {
        congest(tunnels, i);
        tunnels[i] = tunnel_pair_get(pair); // not waited for: a stream goes the old way
        tunnel_pair_run_until(pair, &pair->client.num_opened, i + 1);
        congest(tunnels, i);
        tunnels[i] = tunnel_pair_get(pair);
        assert_false(tunnel_is_congested(tunnels[i])); // the new one
        tunnels[i]->full_since_ms = 1;
        assert_false(tunnel_is_congested(tunnels[i])); // it holds up nobody
        tunnel_caller_call(&callers[i], pair, tunnels[i]);
        assert_true(tunnel_is_congested(tunnels[i]));
        tunnel_pair_settle(pair);
        assert_false(tunnel_is_congested(tunnels[i])); // all has left
    }
    congest(tunnels, POOL_MAX_CONGESTED);
    assert_true(tunnel_is_congested(tunnel_pair_get(pair)));
    tunnel_pair_settle(pair);
    assert_int_equal(pair->client.num_opened, POOL_MAX_CONGESTED);
    for (int i = 0; i < POOL_MAX_CONGESTED; i++) {
        callers[i].leg.leg.ops->reset(&callers[i].leg.leg);
    }
    tunnel_pair_free(pair);
}

static void test_another_identity_is_another_tunnel(void **state) {
    (void)state;
    struct tunnel_pair *pair = new_pair(WEB, DB);
    struct tunnel *first = tunnel_caller_open(pair);
    struct identity *old = tls_context_identity(pair->client.context);
    struct tls_context *same = tls_context_new(old, span_of_text("another policy"), NULL);
    assert_non_null(same);
    struct tls_context *before = pair->client.context;
    pair->client.context = same;
    assert_ptr_equal(tunnel_pair_get(pair), first); // streams are authorised one by one
    pair->client.context = before;
    tls_context_unref(same);
    struct svid *svid = identity_svid(old);
    OWNED(identity_unref)
    struct identity *rotated = identity_new(2, &svid, 1, identity_bundles(old));
    struct tls_context *next = tls_context_new(rotated, span_of(NULL, 0), NULL);
    assert_non_null(next);
    tls_context_unref(pair->client.context);
    pair->client.context = next;
    struct tunnel *second = tunnel_pair_get(pair);
    assert_ptr_not_equal(first, second);
    tunnel_retire(first);
    tunnel_pair_run_until(pair, &pair->client.num_gone, 1); // it had no streams
    tunnel_pair_run_until(pair, &pair->client.num_opened, 2);
    tunnel_pair_free(pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ends_know_each_other),
        cmocka_unit_test(test_a_stream_carries_bytes_and_both_fins),
        cmocka_unit_test(test_a_refusal_is_a_status),
        cmocka_unit_test(test_a_server_of_another_name_is_refused),
        cmocka_unit_test(test_strangers_are_refused_on_both_sides),
        cmocka_unit_test(test_a_closed_port_is_unreachable),
        cmocka_unit_test(test_a_retired_server_takes_the_streams_under_way_and_ends),
        cmocka_unit_test(test_a_retired_server_ends_when_its_last_bytes_have_arrived),
        cmocka_unit_test(test_tunnels_that_end_leave_room_for_others),
        cmocka_unit_test(test_the_end_of_a_tunnel_fails_its_streams),
        cmocka_unit_test(test_the_pool_makes_one_attempt_for_all_who_wait),
        cmocka_unit_test(test_congested_tunnels_get_company),
        cmocka_unit_test(test_another_identity_is_another_tunnel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
