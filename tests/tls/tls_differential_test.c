// Our record layer against BoringSSL's, each way: the same bytes arrive whoever seals and whoever
// opens, in pieces of any size, across key updates and the end; also with peers not of our making.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/tls/record_key.h"
#include "base/netaddr.h"
#include "tests/tls/raw_peer.h"
#include "tests/tls/tls_fixture.h"

#define TOTAL 1500000
#define PIECE_MAX 40000

struct flow {
    struct tls_side *from;
    struct tls_side *to;
    uint8_t salt;
    bool in_runs; // the reader takes runs
    size_t sent;
    size_t received;
};

static uint8_t byte_at(const struct flow *flow, size_t i) {
    return (uint8_t)(i * 29 + (i >> 8) * 3 + (i >> 16) + flow->salt);
}

static void check(struct flow *flow, const uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != byte_at(flow, flow->received + i)) {
            fail_msg("byte %zu differs", flow->received + i);
        }
    }
    flow->received += len;
}

static void write_some(struct tls_pair *pair, struct flow *flow) {
    static uint8_t bytes[PIECE_MAX];
    size_t len = 1 + tls_pair_random(pair) % (tls_pair_random(pair) % 3 == 0 ? 20 : PIECE_MAX);
    len = len < TOTAL - flow->sent ? len : TOTAL - flow->sent;
    if (len == 0) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        bytes[i] = byte_at(flow, flow->sent + i);
    }
    size_t n = 0;
    enum tls_status status = tls_side_write(pair, flow->from, span_of(bytes, len), &n);
    assert_true(status == TLS_OK || status == TLS_AGAIN);
    flow->sent += n;
}

// The runs are overwritten as their owner may, headroom and all.
static enum tls_status read_runs(struct tls_pair *pair, struct flow *flow) {
    static uint8_t room[256 * 1024];
    struct iovec spare = {.iov_base = room, .iov_len = sizeof(room)};
    struct tls_runs runs;
    tls_side_begin(pair, flow->to);
    enum tls_status status = tls_stream_read_runs(flow->to->stream, spare, &runs);
    size_t len = 0;
    for (int i = 0; status == TLS_OK && i < runs.num; i++) {
        assert_true(runs.run[i].iov_len > 0);
        check(flow, runs.run[i].iov_base, runs.run[i].iov_len);
        len += runs.run[i].iov_len;
        memset(runs.run[i].iov_base, 0xee, runs.run[i].iov_len);
    }
    assert_true(status != TLS_OK || (len == runs.len && len > 0));
    tls_side_end(pair, flow->to);
    return status;
}

static void read_some(struct tls_pair *pair, struct flow *flow) {
    static uint8_t bytes[PIECE_MAX];
    size_t n = 0;
    size_t cap = 1 + tls_pair_random(pair) % PIECE_MAX;
    enum tls_status status = TLS_OK;
    if (flow->in_runs && tls_pair_random(pair) % 4 != 0) {
        status = read_runs(pair, flow);
    } else {
        status = tls_side_read(pair, flow->to, span_of(bytes, cap), &n);
        check(flow, bytes, n);
    }
    assert_true(status == TLS_OK || status == TLS_AGAIN);
}

struct combination {
    const char *name;
    bool client_keeps_library;
    bool server_keeps_library;
    bool in_runs;
    size_t chunk; // most bytes delivered at a time
    uint64_t update_after;
};

static const struct combination COMBINATIONS[] = {
    {"ours and the library's", false, true, false, 60000, 0},
    {"ours and the library's, in runs", false, true, true, 60000, 0},
    {"the library's and ours, in runs", true, false, true, 60000, 0},
    {"ours and ours, in runs", false, false, true, 60000, 0},
    {"the library's and the library's, in runs", true, true, true, 60000, 0},
    {"ours and the library's, many key updates", false, true, true, 9001, 1},
    {"the library's and ours, many key updates", true, false, false, 9000, 2},
};

static void run(const struct tls_fixture *fixture, const struct combination *how) {
    struct tls_pair pair;
    print_message("    %s\n", how->name);
    tls_fixture_connect(fixture, &pair, how->chunk % 2 == 1);
    tls_pair_seed(&pair);
    if (how->client_keeps_library) {
        tls_stream_keep_library(pair.client.stream);
    }
    if (how->server_keeps_library) {
        tls_stream_keep_library(pair.server.stream);
    }
    if (how->update_after > 0) {
        tls_stream_set_key_update_after(pair.client.stream, how->update_after);
        tls_stream_set_key_update_after(pair.server.stream, how->update_after);
    }
    pair.chunk = how->chunk;
    pair.chunk_random = pair.send_in_parts = true;
    struct flow up = {&pair.client, &pair.server, 1, how->in_runs, 0, 0};
    struct flow down = {&pair.server, &pair.client, 7, how->in_runs, 0, 0};
    while (up.received < TOTAL || down.received < TOTAL) {
        struct flow *flow = tls_pair_random(&pair) % 2 == 0 ? &up : &down;
        if (tls_pair_random(&pair) % 2 == 0) {
            write_some(&pair, flow);
        } else {
            read_some(&pair, flow);
        }
    }
    assert_int_equal(up.sent, TOTAL);
    assert_int_equal(down.sent, TOTAL);
    tls_pair_fini(&pair);
}

static void whoever_seals_and_whoever_opens(void **state) {
    for (size_t i = 0; i < sizeof(COMBINATIONS) / sizeof(COMBINATIONS[0]); i++) {
        run(*state, &COMBINATIONS[i]);
    }
}

// Both of ours shut down in order, and the other end's library sees it in order.
static void the_end_is_the_same(void **state) {
    for (int lib = 0; lib < 2; lib++) {
        struct tls_pair pair;
        tls_fixture_connect(*state, &pair, false);
        tls_stream_keep_library(lib == 0 ? pair.client.stream : pair.server.stream);
        size_t n = 0;
        assert_int_equal(tls_side_write(&pair, &pair.client, span_of_text("bye"), &n), TLS_OK);
        tls_side_begin(&pair, &pair.client);
        tls_stream_close_notify(pair.client.stream);
        tls_side_end(&pair, &pair.client);
        assert_int_equal(tls_side_drain(&pair, &pair.server), TLS_OK);
        assert_int_equal(tls_side_drain(&pair, &pair.server), TLS_EOF);
        tls_side_begin(&pair, &pair.server);
        tls_stream_close_notify(pair.server.stream);
        tls_side_end(&pair, &pair.server);
        assert_int_equal(tls_side_drain(&pair, &pair.client), TLS_EOF);
        tls_pair_fini(&pair);
    }
}

// One bit of what was sealed is flipped anywhere: both readers give what came before it and end.
static void the_same_forgeries_fail(void **state) {
    struct tls_pair pair = {0};
    tls_pair_seed(&pair);
    uint64_t random = pair.random;
    for (int round = 0; round < 60; round++) {
        tls_fixture_connect(*state, &pair, false);
        pair.random = random;
        if (round % 2 == 0) {
            tls_stream_keep_library(pair.server.stream);
        }
        size_t n = 0;
        assert_int_equal(tls_side_write(&pair, &pair.client, span_of_text("before"), &n), TLS_OK);
        size_t whole = pair.server.in.len;
        assert_int_equal(tls_side_write(&pair, &pair.client, span_of_text("forged"), &n), TLS_OK);
        size_t at = whole + tls_pair_random(&pair) % (pair.server.in.len - whole);
        pair.server.in.mem[pair.server.in.start + at] ^=
            (uint8_t)(1u << tls_pair_random(&pair) % 8);
        tls_stream_input_ended(pair.server.stream);
        uint8_t out[64];
        assert_int_equal(tls_side_read(&pair, &pair.server, span_of(out, sizeof(out)), &n), TLS_OK);
        assert_int_equal(n, 6);
        enum tls_status status = tls_side_drain(&pair, &pair.server);
        // A length that grew waits for bytes that do not come.
        assert_true(status == TLS_FAILED || (status == TLS_TRUNCATED && at - whole >= 3));
        random = pair.random;
        tls_pair_fini(&pair);
    }
}

struct capture {
    struct raw_peer raw;
    struct tls_pair pair;
};

// With an address the client keeps tickets, and so BoringSSL's object until one has come.
static void connect_raw(const struct tls_fixture *fixture, struct capture *c) {
    struct svid *svid = identity_svid(tls_context_identity(fixture->server));
    static const struct netaddr ADDR = {.family = NETADDR_V4, .ip = {10, 0, 0, 1}, .port = 15008};
    struct raw_options options = {
        .server = true, .ask_certificate = true, .alpn = "h2", .key = svid_key(svid)};
    options.chain = svid_chain(svid, &options.num_chain);
    raw_peer_init(&c->raw, &options);
    tls_pair_init(&c->pair, &(struct tls_pair_options){.client = fixture->client,
                                                       .server = fixture->server,
                                                       .client_expects = {.addr = &ADDR}});
    assert_true(raw_peer_handshake(&c->raw, &c->pair, &c->pair.client));
    assert_int_equal(c->pair.client.handshake, TLS_OK);
}

// The library reads our KeyUpdates, asks for them, and gets its answers.
static void a_library_peer_in_a_storm_of_key_updates(void **state) {
    struct capture c;
    connect_raw(*state, &c);
    tls_stream_set_key_update_after(c.pair.client.stream, 2);
    uint8_t out[64];
    for (int i = 0; i < 200; i++) {
        assert_int_equal(SSL_key_update(c.raw.ssl, i % 2), 1);
        assert_int_equal(SSL_write(c.raw.ssl, "down", 4), 4);
        raw_peer_send(&c.raw, &c.pair.client);
        size_t n = 0;
        assert_int_equal(tls_side_read(&c.pair, &c.pair.client, span_of(out, sizeof(out)), &n),
                         TLS_OK);
        assert_int_equal(n, 4);
        assert_int_equal(tls_side_write(&c.pair, &c.pair.client, span_of_text("up"), &n), TLS_OK);
        raw_peer_receive(&c.raw, &c.pair, &c.pair.client);
        assert_int_equal(raw_peer_read(&c.raw, out, sizeof(out)), 2);
    }
    raw_peer_fini(&c.raw);
    tls_pair_fini(&c.pair);
}

// BoringSSL answers a malformed ticket with an alert of its own, under a record number that we have
// used already. It must not get to the wire: one alert goes out, ours, under the next number.
static void a_malformed_ticket_is_answered_once(void **state) {
    static const uint8_t TICKETS[][8] = {{4, 0, 0, 0}, {4, 0, 0, 1, 0}, {4, 0, 0, 4, 0, 0, 0, 1}};
    for (size_t i = 0; i < sizeof(TICKETS) / sizeof(TICKETS[0]); i++) {
        struct capture c;
        connect_raw(*state, &c);
        struct traffic_secrets secrets;
        struct record_key sealing;
        struct record_key opening;
        assert_true(traffic_secrets_get(c.raw.ssl, &secrets));
        assert_true(record_key_init(&sealing, AEAD_AES_128_GCM, &secrets.write));
        assert_true(record_key_init(&opening, AEAD_AES_128_GCM, &secrets.read));
        size_t n = 0;
        struct tls_side *client = &c.pair.client;
        buf_clear(&c.pair.server.in);
        assert_int_equal(tls_side_write(&c.pair, client, span_of_text("data"), &n), TLS_OK);

        uint8_t record[8 + RECORD_KEY_OVERHEAD];
        struct span ticket = span_of(TICKETS[i], 4u + TICKETS[i][3]);
        assert_true(record_key_seal(&sealing, record, ticket, 22));
        assert_true(buf_append(&client->in, record, ticket.len + RECORD_KEY_OVERHEAD));
        assert_int_equal(tls_side_drain(&c.pair, client), TLS_FAILED);
        assert_string_equal(tls_stream_error(client->stream), "a malformed session ticket came");

        uint8_t *sent = c.pair.server.in.mem + c.pair.server.in.start;
        size_t data_len = 4 + RECORD_KEY_OVERHEAD;
        assert_int_equal(c.pair.server.in.len, data_len + 2 + RECORD_KEY_OVERHEAD);
        assert_true(record_key_open(&opening, sent, data_len));
        assert_true(record_key_open(&opening, sent + data_len, 2 + RECORD_KEY_OVERHEAD));
        assert_memory_equal(sent + data_len + 5, "\x02\x32\x15", 3); // decode_error
        record_key_fini(&sealing);
        record_key_fini(&opening);
        raw_peer_fini(&c.raw);
        tls_pair_fini(&c.pair);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_seals_and_whoever_opens),
        cmocka_unit_test(the_end_is_the_same),
        cmocka_unit_test(the_same_forgeries_fail),
        cmocka_unit_test(a_library_peer_in_a_storm_of_key_updates),
        cmocka_unit_test(a_malformed_ticket_is_answered_once),
    };
    return cmocka_run_group_tests(tests, tls_fixture_set_up, tls_fixture_tear_down);
}
