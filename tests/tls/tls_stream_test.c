// The stream between two of its own kind: handshakes in pieces, bulk, flow control, key updates.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/tls/tls_fixture.h"

static void handshake_at_every_chunk_size(void **state) {
    for (size_t chunk = 1; chunk < 4000; chunk += chunk < 40 ? 1 : 97) {
        struct tls_pair pair;
        tls_fixture_pair(*state, &pair, chunk % 2 == 0);
        pair.chunk = chunk;
        tls_pair_handshake(&pair);
        assert_int_equal(pair.client.handshake, TLS_OK);
        assert_int_equal(pair.server.handshake, TLS_OK);
        tls_pair_fini(&pair);
    }
}

static void handshake_in_random_pieces(void **state) {
    struct tls_pair pair = {0};
    tls_pair_seed(&pair);
    uint64_t random = pair.random;
    for (int round = 0; round < 40; round++) {
        tls_fixture_pair(*state, &pair, round % 2 == 0);
        pair.random = random;
        pair.chunk = 600;
        pair.chunk_random = true;
        pair.send_in_parts = true;
        tls_pair_handshake(&pair);
        assert_int_equal(pair.client.handshake, TLS_OK);
        assert_int_equal(pair.server.handshake, TLS_OK);
        random = pair.random;
        tls_pair_fini(&pair);
    }
}

static void tells_who_the_peer_is(void **state) {
    const struct tls_fixture *fixture = *state;
    struct tls_pair pair;
    tls_fixture_pair(*state, &pair, false);
    assert_null(tls_stream_peer(pair.client.stream));
    assert_string_equal(tls_stream_group(pair.client.stream), "");
    assert_string_equal(tls_stream_cipher(pair.client.stream), "");
    tls_pair_handshake(&pair);
    const struct peer *server = tls_stream_peer(pair.client.stream);
    const struct peer *client = tls_stream_peer(pair.server.stream);
    assert_string_equal(server->id.text, SERVER_ID);
    assert_string_equal(client->id.text, CLIENT_ID);
    struct svid *svid = identity_svid(tls_context_identity(fixture->server));
    assert_string_equal(server->serial, svid_serial(svid));
    assert_int_equal(server->not_after, svid_not_after(svid));
    assert_string_equal(tls_stream_version(pair.client.stream), "TLSv1.3");
    assert_string_equal(tls_stream_cipher(pair.server.stream), "TLS_AES_128_GCM_SHA256");
    assert_string_equal(tls_stream_group(pair.client.stream), "X25519KYBER");
    assert_string_equal(tls_stream_group(pair.server.stream), "X25519KYBER");
    assert_ptr_equal(tls_stream_context(pair.client.stream), fixture->client);
    assert_int_equal(tls_stream_refusal(pair.client.stream), VERIFY_OK);
    assert_false(tls_stream_got_alert(pair.client.stream));
    assert_int_equal(tls_stream_handshake(pair.client.stream), TLS_OK);
    tls_pair_fini(&pair);
}

// One direction of a bulk transfer. Byte i of a direction is a function of i alone.
struct flow {
    struct tls_side *from;
    struct tls_side *to;
    uint8_t salt;
    size_t sent;
    size_t received;
    size_t total;
};

static uint8_t byte_at(const struct flow *flow, size_t i) {
    return (uint8_t)(i * 131 + (i >> 8) * 7 + (i >> 16) + flow->salt);
}

#define WRITE_MAX 70000
#define READ_MAX 50000

static void flow_write(struct tls_pair *pair, struct flow *flow) {
    static uint8_t bytes[WRITE_MAX];
    size_t len = 1 + tls_pair_random(pair) % WRITE_MAX;
    if (tls_pair_random(pair) % 4 == 0) {
        len = 1 + len % 40;
    }
    len = len < flow->total - flow->sent ? len : flow->total - flow->sent;
    if (len == 0) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        bytes[i] = byte_at(flow, flow->sent + i);
    }
    size_t n = 0;
    enum tls_status status = tls_side_write(pair, flow->from, span_of(bytes, len), &n);
    assert_true(status == TLS_OK || status == TLS_AGAIN);
    assert_true(status == TLS_AGAIN ? n == 0 : n > 0 && n <= len);
    memset(bytes, 0xee, len); // nothing may refer to them any more
    flow->sent += n;
}

static void flow_read(struct tls_pair *pair, struct flow *flow) {
    static uint8_t bytes[READ_MAX];
    size_t n = 0;
    size_t cap = 1 + tls_pair_random(pair) % READ_MAX;
    enum tls_status status = tls_side_read(pair, flow->to, span_of(bytes, cap), &n);
    assert_true(status == TLS_OK || status == TLS_AGAIN);
    assert_true(status == TLS_AGAIN ? n == 0 : n > 0 && n <= cap);
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != byte_at(flow, flow->received + i)) {
            fail_msg("byte %zu differs", flow->received + i);
        }
    }
    flow->received += n;
}

static void transfer(struct tls_pair *pair, size_t total) {
    struct flow up = {&pair->client, &pair->server, 1, 0, 0, total};
    struct flow down = {&pair->server, &pair->client, 77, 0, 0, total};
    pair->chunk = 60000;
    pair->chunk_random = true;
    while (up.received < total || down.received < total) {
        switch (tls_pair_random(pair) % 4) {
        case 0:
            flow_write(pair, &up);
            break;
        case 1:
            flow_write(pair, &down);
            break;
        case 2:
            flow_read(pair, &up);
            break;
        default:
            flow_read(pair, &down);
            break;
        }
    }
    assert_int_equal(up.sent, total);
    assert_int_equal(down.sent, total);
}

static void bulk(void **state, bool no_scratch, bool in_parts, uint64_t update_after) {
    struct tls_pair pair;
    tls_fixture_connect(*state, &pair, no_scratch);
    tls_pair_seed(&pair);
    pair.send_in_parts = in_parts;
    if (update_after > 0) {
        tls_stream_set_key_update_after(pair.client.stream, update_after);
        tls_stream_set_key_update_after(pair.server.stream, update_after);
    }
    transfer(&pair, 6 * 1000 * 1000 + 17);
    tls_pair_fini(&pair);
}

static void bulk_through_the_scratch(void **state) {
    bulk(state, false, false, 0);
}

static void bulk_through_the_scratch_sent_in_parts(void **state) {
    bulk(state, false, true, 0);
}

static void bulk_through_the_backlog_sent_in_parts(void **state) {
    bulk(state, true, true, 0);
}

static void key_updates_keep_the_data_intact(void **state) {
    bulk(state, false, true, 3);
    bulk(state, true, false, 1);
}

static void a_key_update_happens_at_the_limit(void **state) {
    struct tls_pair pair;
    tls_fixture_connect(*state, &pair, false);
    tls_stream_set_key_update_after(pair.client.stream, 2);
    size_t sizes[5] = {0};
    size_t before = 0;
    for (int i = 0; i < 5; i++) {
        size_t n = 0;
        before = pair.server.in.len;
        assert_int_equal(tls_side_write(&pair, &pair.client, span_of_text("0123456789"), &n),
                         TLS_OK);
        sizes[i] = pair.server.in.len - before;
    }
    assert_int_equal(sizes[0], 10 + 22);
    assert_int_equal(sizes[1], 10 + 22);
    assert_int_equal(sizes[2], 10 + 22 + 5 + 22); // a KeyUpdate message comes first
    assert_int_equal(sizes[3], 10 + 22);
    assert_int_equal(sizes[4], 10 + 22 + 5 + 22);
    tls_pair_fini(&pair);
}

static void a_full_scratch_says_again(void **state) {
    struct tls_pair pair;
    tls_fixture_connect(*state, &pair, false);
    static uint8_t bytes[1024 * 1024];
    static uint8_t out[1024 * 1024];
    memset(bytes, 'x', sizeof(bytes));
    tls_side_begin(&pair, &pair.client);
    size_t n = 0;
    assert_int_equal(tls_stream_write(pair.client.stream, bytes, sizeof(bytes), &n), TLS_OK);
    assert_int_equal(n, 16 * 16384);
    size_t more = 1;
    assert_int_equal(tls_stream_write(pair.client.stream, bytes + n, 16384, &more), TLS_AGAIN);
    assert_int_equal(more, 0);
    assert_int_equal(tls_stream_backlog(pair.client.stream).len, 0);
    tls_side_end(&pair, &pair.client);
    assert_int_equal(pair.server.in.len, 16 * (16384 + 22));

    assert_int_equal(
        tls_side_write(&pair, &pair.client, span_of(bytes + n, sizeof(bytes) - n), &more), TLS_OK);
    size_t got = 0;
    assert_int_equal(tls_side_read(&pair, &pair.server, span_of(out, sizeof(out)), &got), TLS_OK);
    assert_int_equal(got, n + more);
    assert_memory_equal(out, bytes, got);
    tls_pair_fini(&pair);
}

static void a_full_backlog_says_again(void **state) {
    struct tls_pair pair;
    tls_fixture_connect(*state, &pair, true);
    static uint8_t bytes[1024 * 1024];
    tls_side_begin(&pair, &pair.client);
    size_t n = 0;
    assert_int_equal(tls_stream_write(pair.client.stream, bytes, sizeof(bytes), &n), TLS_OK);
    assert_true(tls_stream_backlog(pair.client.stream).len <= TLS_BACKLOG_MAX);
    size_t more = 1;
    assert_int_equal(tls_stream_write(pair.client.stream, bytes, 16384, &more), TLS_AGAIN);
    assert_int_equal(more, 0);
    tls_side_end(&pair, &pair.client);
    assert_int_equal(tls_stream_backlog(pair.client.stream).len, 0);
    assert_int_equal(tls_side_write(&pair, &pair.client, span_of(bytes, 100), &more), TLS_OK);
    assert_int_equal(more, 100);
    tls_pair_fini(&pair);
}

// A close_notify that finds the scratch full goes behind it all the same.
static void close_notify_comes_after_a_full_scratch(void **state) {
    struct tls_pair pair;
    tls_fixture_connect(*state, &pair, false);
    static uint8_t bytes[TLS_SCRATCH_SIZE];
    tls_side_begin(&pair, &pair.client);
    size_t n = 0;
    assert_int_equal(tls_stream_write(pair.client.stream, bytes, sizeof(bytes), &n), TLS_OK);
    size_t last = 0;
    size_t room = TLS_SCRATCH_SIZE - pair.client.scratch->len;
    while (room > 200) {
        size_t len = room - 150 < 16384 ? room - 150 : 16384;
        assert_int_equal(tls_stream_write(pair.client.stream, bytes, len, &last), TLS_OK);
        room = TLS_SCRATCH_SIZE - pair.client.scratch->len;
        n += last;
    }
    pair.client.scratch->len += room - 10; // as if the records had been longer
    size_t filled = pair.client.scratch->len;
    tls_stream_close_notify(pair.client.stream);
    assert_int_equal(pair.client.scratch->len, 0);
    assert_int_equal(tls_stream_backlog(pair.client.stream).len, filled + 24);
    tls_pair_fini(&pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshake_at_every_chunk_size),
        cmocka_unit_test(handshake_in_random_pieces),
        cmocka_unit_test(tells_who_the_peer_is),
        cmocka_unit_test(bulk_through_the_scratch),
        cmocka_unit_test(bulk_through_the_scratch_sent_in_parts),
        cmocka_unit_test(bulk_through_the_backlog_sent_in_parts),
        cmocka_unit_test(key_updates_keep_the_data_intact),
        cmocka_unit_test(a_key_update_happens_at_the_limit),
        cmocka_unit_test(a_full_scratch_says_again),
        cmocka_unit_test(a_full_backlog_says_again),
        cmocka_unit_test(close_notify_comes_after_a_full_scratch),
    };
    return cmocka_run_group_tests(tests, tls_fixture_set_up, tls_fixture_tear_down);
}
