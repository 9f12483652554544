// Handshake messages out of records: in any pieces, several at once, too large, never complete.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/tls/record_message.h"

// Two tickets and a key update between them.
static const uint8_t STREAM[] = {4, 0, 0, 5, 'a', 'b', 'c', 'd', 'e', 24, 0,   0,
                                 1, 1, 4, 0, 0,   0,   4,   0,   0,   2,  'x', 'y'};
static const size_t ENDS[] = {9, 14, 18, 24};

// Feeds `len` bytes as one record; the messages that are whole then are checked against STREAM.
static void feed(struct record_message *messages, size_t *num, size_t *at, size_t len) {
    uint8_t *copy = malloc(len);
    assert_non_null(copy);
    memcpy(copy, STREAM + *at, len);
    *at += len;
    struct span bytes = span_of(copy, len);
    while (bytes.len > 0) {
        struct span message;
        enum record_message_status status = record_message_next(messages, &bytes, true, &message);
        if (status == RECORD_MESSAGE_PARTIAL) {
            assert_int_equal(bytes.len, 0);
            break;
        }
        assert_int_equal(status, RECORD_MESSAGE_WHOLE);
        size_t start = *num == 0 ? 0 : ENDS[*num - 1];
        assert_int_equal(message.len, ENDS[*num] - start);
        assert_memory_equal(message.ptr, STREAM + start, message.len);
        record_message_done(messages);
        (*num)++;
    }
    free(copy);
}

static void any_two_cuts_give_the_same_messages(void **state) {
    (void)state;
    for (size_t first = 1; first < sizeof(STREAM); first++) {
        for (size_t second = first + 1; second <= sizeof(STREAM); second++) {
            struct record_message messages = {0};
            size_t num = 0;
            size_t at = 0;
            feed(&messages, &num, &at, first);
            feed(&messages, &num, &at, second - first);
            bool is_whole = second == 9 || second == 14 || second == 18 || second == 24;
            assert_true(record_message_is_partial(&messages) != is_whole);
            if (second < sizeof(STREAM)) {
                feed(&messages, &num, &at, sizeof(STREAM) - second);
            }
            assert_int_equal(num, 4);
            assert_false(record_message_is_partial(&messages));
            assert_null(messages.part.mem); // no memory between messages
            record_message_fini(&messages);
        }
    }
}

static void byte_by_byte(void **state) {
    (void)state;
    struct record_message messages = {0};
    size_t num = 0;
    for (size_t at = 0; at < sizeof(STREAM);) {
        feed(&messages, &num, &at, 1);
    }
    assert_int_equal(num, 4);
    record_message_fini(&messages);
}

static enum record_message_status announce(size_t len, bool is_client, size_t given) {
    const uint8_t header[4] = {4, (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};
    struct record_message messages = {0};
    struct span message;
    struct span bytes = span_of(header, given);
    enum record_message_status status = record_message_next(&messages, &bytes, is_client, &message);
    if (status == RECORD_MESSAGE_PARTIAL && given < 4) {
        bytes = span_of(header + given, 4 - given);
        status = record_message_next(&messages, &bytes, is_client, &message);
    }
    record_message_fini(&messages);
    return status;
}

static void what_is_too_large_is_refused_by_its_header(void **state) {
    (void)state;
    for (size_t given = 1; given <= 4; given++) {
        assert_int_equal(announce(RECORD_MESSAGE_MAX_CLIENT, true, given), RECORD_MESSAGE_PARTIAL);
        assert_int_equal(announce(RECORD_MESSAGE_MAX_CLIENT + 1, true, given),
                         RECORD_MESSAGE_TOO_LARGE);
        assert_int_equal(announce(0xffffff, true, given), RECORD_MESSAGE_TOO_LARGE);
        assert_int_equal(announce(1, false, given), RECORD_MESSAGE_PARTIAL);
        assert_int_equal(announce(2, false, given), RECORD_MESSAGE_TOO_LARGE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_two_cuts_give_the_same_messages),
        cmocka_unit_test(byte_by_byte),
        cmocka_unit_test(what_is_too_large_is_refused_by_its_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
