// The record layer against a peer that knows the keys and does what it should not.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/tls/record_end.h"

#define ALL SIZE_MAX

static void expect_data(struct record_end *end, const char *text) {
    struct span plain;
    assert_int_equal(record_end_read(end, ALL, &plain), TLS_RECORD_OK);
    assert_int_equal(plain.len, strlen(text));
    assert_memory_equal(plain.ptr, text, plain.len);
}

static void expect_nothing(struct record_end *end) {
    struct span plain;
    assert_int_equal(record_end_read(end, ALL, &plain), TLS_RECORD_AGAIN);
}

// The layer has failed with this sentence, for good, and has told the peer by this alert.
static void expect_failure(struct record_end *end, const char *sentence, uint8_t alert) {
    struct span plain;
    assert_int_equal(record_end_read(end, ALL, &plain), TLS_RECORD_FAILED);
    struct tls_record_failure why = tls_record_why(end->layer);
    assert_non_null(why.sentence);
    assert_string_equal(why.sentence, sentence);
    struct record_seen seen;
    record_end_see(end, &seen);
    assert_int_equal(seen.type, RECORD_ALERT);
    assert_int_equal(seen.len, 2);
    assert_int_equal(seen.bytes[0], 2);
    assert_int_equal(seen.bytes[1], alert);
    record_end_put_text(end, RECORD_DATA, "too late");
    assert_int_equal(record_end_read(end, ALL, &plain), TLS_RECORD_FAILED);
    assert_int_equal(tls_record_write(end->layer, span_of_text("x")), TLS_RECORD_FAILED);
    record_end_see(end, &seen);
    assert_int_equal(seen.type, 0);
}

static void data_of_every_suite_and_padding(void **state) {
    (void)state;
    for (int suite = AEAD_AES_128_GCM; suite <= AEAD_CHACHA20_POLY1305; suite++) {
        struct record_end end;
        record_end_init(&end, (enum aead_suite)suite, false);
        static const size_t ZEROS[] = {0, 1, 2, 15, 16, 17, 255, 16000};
        for (size_t i = 0; i < sizeof(ZEROS) / sizeof(ZEROS[0]); i++) {
            record_end_put(&end, RECORD_DATA, span_of_text("hello\0"), ZEROS[i]);
        }
        for (size_t i = 0; i < sizeof(ZEROS) / sizeof(ZEROS[0]); i++) {
            expect_data(&end, "hello");
        }
        expect_nothing(&end);
        record_end_fini(&end);
    }
}

// At every cut: nothing before the record is whole, and what was in sight is not touched.
static void a_part_of_a_record_waits(void **state) {
    (void)state;
    struct record_end end;
    record_end_init(&end, AEAD_AES_128_GCM, false);
    record_end_put_text(&end, RECORD_DATA, "in pieces");
    struct span plain;
    for (size_t len = 0; len < 9 + RECORD_KEY_OVERHEAD; len++) {
        assert_int_equal(record_end_read(&end, len, &plain), TLS_RECORD_AGAIN);
    }
    expect_data(&end, "in pieces");
    record_end_fini(&end);
}

static void the_limits_of_a_record(void **state) {
    (void)state;
    static const uint8_t bytes[TLS_RECORD_PLAIN_MAX + 300];
    struct record_end end;
    record_end_init(&end, AEAD_AES_128_GCM, false);
    record_end_put(&end, RECORD_DATA, span_of(bytes, TLS_RECORD_PLAIN_MAX), 0);
    struct span plain;
    assert_int_equal(record_end_read(&end, ALL, &plain), TLS_RECORD_OK);
    assert_int_equal(plain.len, TLS_RECORD_PLAIN_MAX);
    record_end_put(&end, RECORD_DATA, span_of(bytes, TLS_RECORD_PLAIN_MAX + 1), 0);
    expect_failure(&end, "a record with more data than TLS allows came", 22);
    record_end_fini(&end);

    record_end_init(&end, AEAD_AES_128_GCM, false); // padding counts
    record_end_put(&end, RECORD_DATA, span_of(bytes, TLS_RECORD_PLAIN_MAX), 1);
    expect_failure(&end, "a record with more data than TLS allows came", 22);
    record_end_fini(&end);

    record_end_init(&end, AEAD_AES_128_GCM, false); // refused by its header already
    record_end_put(&end, RECORD_DATA, span_of(bytes, TLS_RECORD_PLAIN_MAX + 240), 0);
    assert_int_equal(record_end_read(&end, 4, &plain), TLS_RECORD_AGAIN);
    end.wire.len = 5;
    expect_failure(&end, "a record longer than TLS allows came", 22);
    record_end_fini(&end);
}

struct forgery {
    size_t at; // of the record
    uint8_t flip;
    uint8_t alert;
    const char *sentence;
};

static void forged_records_end_it(void **state) {
    (void)state;
    static const struct forgery FORGERIES[] = {
        {0, 23 ^ 22, 10, "a record that is not encrypted came"},
        {0, 23 ^ 21, 10, "a record that is not encrypted came"},
        {0, 23 ^ 20, 10, "a record that is not encrypted came"},
        {1, 1, 70, "a record of another TLS version came"},
        {2, 7, 70, "a record of another TLS version came"},
        {3, 0x80, 22, "a record longer than TLS allows came"},
        {4, 2, 20, "bad record: the received bytes were altered"},
        {5, 1, 20, "bad record: the received bytes were altered"},
        {14, 0x40, 20, "bad record: the received bytes were altered"},
        {30, 0x80, 20, "bad record: the received bytes were altered"},
    };
    for (size_t i = 0; i < sizeof(FORGERIES) / sizeof(FORGERIES[0]); i++) {
        struct record_end end;
        record_end_init(&end, AEAD_AES_128_GCM, true);
        record_end_put_text(&end, RECORD_DATA, "good");
        record_end_put_text(&end, RECORD_DATA, "forged...");
        expect_data(&end, "good");
        buf_span(&end.wire);
        end.wire.mem[end.wire.start + FORGERIES[i].at] ^= FORGERIES[i].flip;
        expect_failure(&end, FORGERIES[i].sentence, FORGERIES[i].alert);
        record_end_fini(&end);
    }
}

// A record that comes twice, or out of order, or shorter than a tag.
static void records_have_their_place(void **state) {
    (void)state;
    struct record_end end;
    record_end_init(&end, AEAD_AES_128_GCM, false);
    record_end_put_text(&end, RECORD_DATA, "once");
    uint8_t copy[4 + RECORD_KEY_OVERHEAD];
    memcpy(copy, buf_span(&end.wire).ptr, sizeof(copy));
    expect_data(&end, "once");
    assert_true(buf_append(&end.wire, copy, sizeof(copy)));
    expect_failure(&end, "bad record: the received bytes were altered", 20);
    record_end_fini(&end);

    record_end_init(&end, AEAD_AES_128_GCM, false);
    assert_true(buf_append(&end.wire,
                           "\x17\x03\x03\x00\x0f"
                           "123456789012345",
                           20));
    expect_failure(&end, "bad record: the received bytes were altered", 20);
    record_end_fini(&end);
}

static void unexpected_contents_end_it(void **state) {
    (void)state;
    static const struct {
        uint8_t type;
        uint8_t len;
        uint8_t bytes[12];
        uint8_t alert;
        const char *sentence;
    } ROWS[] = {
        {0, 0, {0}, 10, "a record without a content type came"},
        {0, 3, {0, 0, 0}, 10, "a record without a content type came"},
        {20, 1, {1}, 10, "a record of an unexpected type came"},
        {24, 1, {1}, 10, "a record of an unexpected type came"},
        {21, 1, {1}, 50, "a malformed alert came"},
        {21, 3, {1, 0, 1}, 50, "a malformed alert came"},
        {21, 0, {0}, 50, "a malformed alert came"},
        {22, 0, {0}, 10, "an unexpected handshake message came"},
        {22, 4, {0, 0, 0, 0}, 10, "an unexpected handshake message came"},
        {22, 5, {1, 0, 0, 1, 0}, 10, "an unexpected handshake message came"},
        {22, 4, {4, 0, 0, 0}, 10, "an unexpected handshake message came"},
        {22, 6, {4, 0, 0, 2, 0, 0}, 47, "the peer sent a message that is too large"},
        {22, 5, {24, 0, 0, 1, 2}, 50, "a malformed key update came"},
        {22, 4, {24, 0, 0, 0}, 50, "a malformed key update came"},
        {22, 6, {24, 0, 0, 2, 0, 0}, 47, "the peer sent a message that is too large"},
        {22,
         10,
         {24, 0, 0, 1, 0, 24, 0, 0, 1, 0},
         10,
         "a handshake message came behind a key update"},
        {22, 6, {24, 0, 0, 1, 0, 24}, 10, "a handshake message came behind a key update"},
    };
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct record_end end;
        record_end_init(&end, AEAD_AES_128_GCM, false);
        record_end_put_text(&end, RECORD_DATA, "good");
        record_end_put(&end, ROWS[i].type, span_of(ROWS[i].bytes, ROWS[i].len), 0);
        expect_data(&end, "good");
        expect_failure(&end, ROWS[i].sentence, ROWS[i].alert);
        record_end_fini(&end);
    }
}

static void nothing_comes_inside_a_message(void **state) {
    (void)state;
    static const uint8_t BETWEEN[] = {RECORD_DATA, RECORD_ALERT};
    for (size_t i = 0; i < sizeof(BETWEEN); i++) {
        struct record_end end;
        record_end_init(&end, AEAD_AES_128_GCM, false);
        record_end_put(&end, RECORD_HANDSHAKE, span_of("\x18\0", 2), 0);
        expect_nothing(&end);
        record_end_put(&end, BETWEEN[i], span_of("\1\0", 2), 0);
        expect_failure(&end, "another record came in the middle of a handshake message", 10);
        record_end_fini(&end);
    }
}

static void tickets_reach_a_client(void **state) {
    (void)state;
    struct record_end end;
    record_end_init(&end, AEAD_AES_128_GCM, true);
    static const uint8_t two[] = {4, 0, 0, 1, 'a', 4, 0, 0, 2, 'b', 'c'};
    record_end_put(&end, RECORD_HANDSHAKE, span_of(two, sizeof(two)), 3);
    for (size_t i = 0; i < sizeof(two); i++) {
        record_end_put(&end, RECORD_HANDSHAKE, span_of(two + i, 1), 0);
    }
    record_end_put_text(&end, RECORD_DATA, "data");
    expect_data(&end, "data");
    assert_int_equal(end.num_tickets, 4);
    end.refuses_tickets = true;
    record_end_put(&end, RECORD_HANDSHAKE, span_of(two, 5), 0);
    expect_failure(&end, "a malformed session ticket came", 50);
    record_end_fini(&end);
}

static void alerts_end_reading(void **state) {
    (void)state;
    struct record_end end;
    struct record_seen seen;
    struct span plain;
    record_end_init(&end, AEAD_AES_128_GCM, false);
    record_end_put(&end, RECORD_ALERT, span_of("\1\0", 2), 0);
    record_end_put_text(&end, RECORD_DATA, "behind the end");
    assert_int_equal(record_end_read(&end, ALL, &plain), TLS_RECORD_EOF);
    assert_int_equal(record_end_read(&end, ALL, &plain), TLS_RECORD_EOF);
    assert_int_equal(tls_record_write(end.layer, span_of_text("goes on")), TLS_RECORD_OK);
    assert_int_equal(tls_record_close(end.layer), TLS_RECORD_OK);
    assert_int_equal(tls_record_close(end.layer), TLS_RECORD_OK);
    record_end_see(&end, &seen);
    assert_int_equal(seen.type, RECORD_DATA);
    record_end_see(&end, &seen);
    assert_int_equal(seen.type, RECORD_ALERT);
    assert_memory_equal(seen.bytes, "\1\0", 2);
    record_end_see(&end, &seen);
    assert_int_equal(seen.type, 0);
    record_end_fini(&end);

    for (uint8_t level = 0; level < 4; level++) { // it says nothing in TLS 1.3
        record_end_init(&end, AEAD_AES_128_GCM, false);
        const uint8_t alert[] = {level, 49};
        record_end_put(&end, RECORD_ALERT, span_of(alert, 2), 0);
        assert_int_equal(record_end_read(&end, ALL, &plain), TLS_RECORD_FAILED);
        assert_null(tls_record_why(end.layer).sentence);
        assert_int_equal(tls_record_why(end.layer).alert, 49);
        assert_int_equal(tls_record_write(end.layer, span_of_text("x")), TLS_RECORD_FAILED);
        record_end_see(&end, &seen);
        assert_int_equal(seen.type, 0); // an alert is not answered
        record_end_fini(&end);
    }
}

// `num` times; then data. True when it comes through.
static bool survives(uint8_t type, const char *bytes, size_t len, int num) {
    struct record_end end;
    record_end_init(&end, AEAD_AES_128_GCM, false);
    for (int i = 0; i < num; i++) {
        if (type == RECORD_HANDSHAKE) {
            record_end_put_key_update(&end, 1);
        } else {
            record_end_put(&end, type, span_of(bytes, len), 0);
        }
    }
    record_end_put_text(&end, RECORD_DATA, "data");
    record_end_put(&end, type == RECORD_HANDSHAKE ? RECORD_DATA : type, span_of(bytes, len), 0);
    record_end_put_text(&end, RECORD_DATA, "more");
    struct span plain;
    bool ok = record_end_read(&end, ALL, &plain) == TLS_RECORD_OK;
    if (ok) {
        expect_data(&end, "more"); // the count began anew
    }
    assert_true(end.bio.backlog.len < 100);
    record_end_fini(&end);
    return ok;
}

static void floods_end_it(void **state) {
    (void)state;
    assert_true(survives(RECORD_DATA, "", 0, 32));
    assert_false(survives(RECORD_DATA, "", 0, 33));
    assert_true(survives(RECORD_HANDSHAKE, "", 0, 32));
    assert_false(survives(RECORD_HANDSHAKE, "", 0, 33));
    assert_true(survives(RECORD_ALERT, "\1\x5a", 2, 4)); // user_canceled
    assert_false(survives(RECORD_ALERT, "\1\x5a", 2, 5));
}

// Asked for in any number, answered once, before the next data.
static void key_updates_both_ways(void **state) {
    (void)state;
    struct record_end end;
    struct record_seen seen;
    record_end_init(&end, AEAD_CHACHA20_POLY1305, true);
    for (int round = 0; round < 100; round++) {
        record_end_put_key_update(&end, 1);
        record_end_put_key_update(&end, 1);
        record_end_put_key_update(&end, 0);
        record_end_put_text(&end, RECORD_DATA, "under a new key");
        expect_data(&end, "under a new key");
        record_end_see(&end, &seen);
        assert_int_equal(seen.type, 0);
        assert_int_equal(tls_record_write(end.layer, span_of_text("answer")), TLS_RECORD_OK);
        assert_int_equal(tls_record_write(end.layer, span_of_text("more")), TLS_RECORD_OK);
        record_end_see(&end, &seen);
        assert_int_equal(seen.type, RECORD_HANDSHAKE);
        assert_memory_equal(seen.bytes, "\x18\0\0\1\0", 5);
        record_end_see(&end, &seen);
        assert_int_equal(seen.type, RECORD_DATA);
        assert_memory_equal(seen.bytes, "answer", 6);
        record_end_see(&end, &seen);
        assert_int_equal(seen.type, RECORD_DATA);
    }
    record_end_fini(&end);
}

static void a_key_is_changed_after_its_records(void **state) {
    (void)state;
    struct record_end end;
    struct record_seen seen;
    record_end_init(&end, AEAD_AES_256_GCM, false);
    tls_record_set_update_after(end.layer, 3);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(tls_record_write(end.layer, span_of_text("x")), TLS_RECORD_OK);
        record_end_see(&end, &seen);
        assert_int_equal(seen.type, i > 0 && i % 3 == 0 ? RECORD_HANDSHAKE : RECORD_DATA);
        if (seen.type == RECORD_HANDSHAKE) {
            record_end_see(&end, &seen);
            assert_int_equal(seen.type, RECORD_DATA);
        }
    }
    record_end_fini(&end);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_of_every_suite_and_padding),
        cmocka_unit_test(a_part_of_a_record_waits),
        cmocka_unit_test(the_limits_of_a_record),
        cmocka_unit_test(forged_records_end_it),
        cmocka_unit_test(records_have_their_place),
        cmocka_unit_test(unexpected_contents_end_it),
        cmocka_unit_test(nothing_comes_inside_a_message),
        cmocka_unit_test(tickets_reach_a_client),
        cmocka_unit_test(alerts_end_reading),
        cmocka_unit_test(floods_end_it),
        cmocka_unit_test(key_updates_both_ways),
        cmocka_unit_test(a_key_is_changed_after_its_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
