// How a stream ends, well or badly: close_notify, truncation, altered bytes, garbage, floods.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <openssl/ssl.h>

#include "tests/tls/raw_peer.h"
#include "tests/tls/tls_fixture.h"

static void an_end_with_close_notify_is_eof(void **state) {
    struct tls_pair pair;
    tls_fixture_connect(*state, &pair, false);
    size_t n = 0;
    assert_int_equal(tls_side_write(&pair, &pair.client, span_of_text("last words"), &n), TLS_OK);
    tls_side_begin(&pair, &pair.client);
    tls_stream_close_notify(pair.client.stream);
    tls_stream_close_notify(pair.client.stream);
    tls_side_end(&pair, &pair.client);
    tls_stream_input_ended(pair.server.stream);
    uint8_t out[16384];
    assert_int_equal(tls_side_read(&pair, &pair.server, span_of(out, sizeof(out)), &n), TLS_OK);
    assert_memory_equal(out, "last words", n);
    assert_int_equal(tls_side_drain(&pair, &pair.server), TLS_EOF);
    assert_int_equal(tls_side_drain(&pair, &pair.server), TLS_EOF);
    // Half-close: the other direction goes on.
    assert_int_equal(tls_side_write(&pair, &pair.server, span_of_text("reply"), &n), TLS_OK);
    assert_int_equal(tls_side_read(&pair, &pair.client, span_of(out, sizeof(out)), &n), TLS_OK);
    assert_memory_equal(out, "reply", n);
    tls_pair_fini(&pair);
}

static void an_end_without_close_notify_is_truncation(void **state) {
    for (size_t cut = 0; cut < 2; cut++) {
        struct tls_pair pair;
        tls_fixture_connect(*state, &pair, false);
        size_t n = 0;
        assert_int_equal(tls_side_write(&pair, &pair.client, span_of_text("one"), &n), TLS_OK);
        assert_int_equal(tls_side_write(&pair, &pair.client, span_of_text("two"), &n), TLS_OK);
        pair.server.in.len -= cut; // at the end of a record, or inside one
        tls_stream_input_ended(pair.server.stream);
        uint8_t out[16384];
        assert_int_equal(tls_side_read(&pair, &pair.server, span_of(out, sizeof(out)), &n), TLS_OK);
        assert_memory_equal(out, "onetwo", n);
        assert_int_equal(n, cut == 0 ? 6 : 3);
        assert_int_equal(tls_side_drain(&pair, &pair.server), TLS_TRUNCATED);
        assert_string_equal(tls_stream_error(pair.server.stream),
                            "the connection ended without close_notify");
        pair.server.in.len = 0;
        tls_pair_fini(&pair);
    }
}

static void an_end_during_the_handshake_is_truncation(void **state) {
    struct tls_pair pair;
    tls_fixture_pair(*state, &pair, false);
    tls_stream_input_ended(pair.client.stream);
    tls_pair_handshake(&pair);
    assert_int_equal(pair.client.handshake, TLS_TRUNCATED);
    assert_int_equal(tls_stream_handshake(pair.client.stream), TLS_TRUNCATED);
    assert_string_equal(tls_stream_error(pair.client.stream),
                        "the peer closed the connection during the handshake");
    tls_pair_fini(&pair);
}

static void altered_bytes_end_the_stream(void **state) {
    struct tls_pair pair;
    tls_fixture_connect(*state, &pair, false);
    size_t n = 0;
    assert_int_equal(tls_side_write(&pair, &pair.client, span_of_text("good"), &n), TLS_OK);
    assert_int_equal(tls_side_write(&pair, &pair.client, span_of_text("evil"), &n), TLS_OK);
    pair.server.in.mem[pair.server.in.start + pair.server.in.len - 1] ^= 1;
    uint8_t out[16384];
    assert_int_equal(tls_side_read(&pair, &pair.server, span_of(out, sizeof(out)), &n), TLS_OK);
    assert_int_equal(n, 4);
    assert_int_equal(tls_side_drain(&pair, &pair.server), TLS_FAILED);
    assert_string_equal(tls_stream_error(pair.server.stream),
                        "bad record: the received bytes were altered");
    assert_false(tls_stream_got_alert(pair.server.stream));
    assert_int_equal(tls_side_write(&pair, &pair.server, span_of_text("x"), &n), TLS_FAILED);
    assert_int_equal(tls_side_drain(&pair, &pair.client), TLS_FAILED);
    assert_true(tls_stream_got_alert(pair.client.stream));
    assert_non_null(strstr(tls_stream_error(pair.client.stream), "\"bad record mac\""));
    tls_pair_fini(&pair);
}

static void garbage_is_not_tls(void **state) {
    static const struct {
        const char *bytes;
        const char *sentence;
    } rows[] = {
        {"SSH-2.0-OpenSSH_9.2\r\n", "wrong version number: the peer does not speak TLS"},
        {"GET / HTTP/1.1\r\n\r\n", "http request: the peer speaks HTTP, not TLS"},
        {"CONNECT a:1 HTTP/1.1\r\n\r\n", "proxy request: the peer speaks HTTP, not TLS"},
        {"\x16\x03\x01\xff\xff hello", "encrypted length too long"},
        {"\x17\x03\x03\x00\x01x", "unexpected record"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tls_pair pair;
        tls_fixture_pair(*state, &pair, false);
        size_t len = i < 3 ? strlen(rows[i].bytes) : 6;
        tls_side_begin(&pair, &pair.server);
        tls_stream_feed(pair.server.stream, span_of(rows[i].bytes, len));
        assert_int_equal(tls_stream_handshake(pair.server.stream), TLS_FAILED);
        assert_string_equal(tls_stream_error(pair.server.stream), rows[i].sentence);
        bool is_http = i == 1 || i == 2; // no alert would help there
        assert_true((pair.server.scratch->len > 0) != is_http);
        assert_int_equal(tls_stream_refusal(pair.server.stream), VERIFY_OK);
        assert_null(tls_stream_peer(pair.server.stream));
        tls_pair_fini(&pair);
    }
}

// Random bytes behind a good handshake, and one flipped bit anywhere in the handshake.
static void a_flipped_bit_never_passes(void **state) {
    struct tls_pair pair = {0};
    tls_pair_seed(&pair);
    uint64_t random = pair.random;
    for (int round = 0; round < 60; round++) {
        tls_fixture_pair(*state, &pair, false);
        pair.random = random;
        size_t steps = tls_pair_random(&pair) % 3;
        for (size_t i = 0; i <= steps; i++) {
            struct tls_side *side = i % 2 == 0 ? &pair.client : &pair.server;
            tls_side_begin(&pair, side);
            side->handshake = tls_stream_handshake(side->stream);
            tls_side_end(&pair, side);
        }
        struct tls_side *victim = steps % 2 == 0 ? &pair.server : &pair.client;
        assert_true(victim->in.len > 0);
        size_t at = tls_pair_random(&pair) % victim->in.len;
        victim->in.mem[victim->in.start + at] ^= (uint8_t)(1u << tls_pair_random(&pair) % 8);
        tls_stream_input_ended(victim->stream);
        tls_pair_handshake(&pair);
        bool is_fine = pair.client.handshake == TLS_OK && pair.server.handshake == TLS_OK;
        // The record version of a ClientHello is not authenticated, nor looked at (RFC 8446, 5.1).
        if (is_fine && !(steps < 2 && (at == 1 || at == 2))) {
            fail_msg("step %zu, byte %zu", steps, at);
        }
        random = pair.random;
        tls_pair_fini(&pair);
    }
}

static void a_flood_of_key_updates_ends_the_stream(void **state) {
    const struct tls_fixture *fixture = *state;
    for (int num = 32; num <= 33; num++) {
        struct tls_pair pair;
        tls_fixture_pair(*state, &pair, false);
        struct svid *svid = identity_svid(tls_context_identity(fixture->client));
        struct raw_options options = {.alpn = "h2", .key = svid_key(svid)};
        options.chain = svid_chain(svid, &options.num_chain);
        struct raw_peer raw;
        raw_peer_init(&raw, &options);
        assert_true(raw_peer_handshake(&raw, &pair, &pair.server));
        assert_int_equal(pair.server.handshake, TLS_OK);
        for (int i = 0; i < num; i++) {
            assert_int_equal(SSL_key_update(raw.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
            assert_int_equal(SSL_write(raw.ssl, "", 0), 0);
        }
        raw_peer_send(&raw, &pair.server);
        assert_int_equal(tls_side_drain(&pair, &pair.server), num == 32 ? TLS_AGAIN : TLS_FAILED);
        assert_string_equal(tls_stream_error(pair.server.stream),
                            num == 32 ? "" : "too many key updates in a row from the peer");
        // The peer asked for updates and reads nothing: what we hold for it is bounded.
        assert_true(tls_stream_backlog(pair.server.stream).len < 100);
        assert_true(pair.client.in.len < 2000); // a ticket, an answer, an alert
        raw_peer_fini(&raw);
        tls_pair_fini(&pair);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_with_close_notify_is_eof),
        cmocka_unit_test(an_end_without_close_notify_is_truncation),
        cmocka_unit_test(an_end_during_the_handshake_is_truncation),
        cmocka_unit_test(altered_bytes_end_the_stream),
        cmocka_unit_test(garbage_is_not_tls),
        cmocka_unit_test(a_flipped_bit_never_passes),
        cmocka_unit_test(a_flood_of_key_updates_ends_the_stream),
    };
    return cmocka_run_group_tests(tests, tls_fixture_set_up, tls_fixture_tear_down);
}
