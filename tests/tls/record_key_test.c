// Keys from traffic secrets and single records: the traces of RFC 8448, both directions, updates.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/tls/record_key.h"
#include "tests/tls/hex.h"

struct trace {
    const char *secret;
    uint64_t sequence;
    uint8_t type;
    const char *plain;
    const char *record;
};

// RFC 8448 section 3, the records under the application traffic secrets of client and server.
#define CLIENT_SECRET "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"
#define SERVER_SECRET "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"
#define FIFTY                                                                                      \
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d" \
    "2e2f3031"
static const struct trace TRACES[] = {
    {CLIENT_SECRET, 0, 23, FIFTY,
     "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441"
     "e"
     "2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4"},
    {SERVER_SECRET, 1, 23, FIFTY,
     "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb501a5"
     "9"
     "a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d"},
    {CLIENT_SECRET, 1, 21, "0100", "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3"},
    {SERVER_SECRET, 2, 21, "0100", "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9"},
};

static void secret_of(const char *hex, uint64_t sequence, struct traffic_secret *out) {
    *out = (struct traffic_secret){.sequence = sequence};
    out->len = hex_read(hex, out->bytes, sizeof(out->bytes));
}

static void the_traces_of_the_rfc_hold(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(TRACES) / sizeof(TRACES[0]); i++) {
        const struct trace *trace = &TRACES[i];
        struct traffic_secret secret;
        struct record_key sealing;
        struct record_key opening;
        uint8_t plain[64];
        uint8_t record[128];
        uint8_t out[128];
        secret_of(trace->secret, trace->sequence, &secret);
        assert_true(record_key_init(&sealing, AEAD_AES_128_GCM, &secret));
        assert_true(record_key_init(&opening, AEAD_AES_128_GCM, &secret));
        size_t plain_len = hex_read(trace->plain, plain, sizeof(plain));
        size_t record_len = hex_read(trace->record, record, sizeof(record));
        assert_int_equal(record_len, plain_len + RECORD_KEY_OVERHEAD);
        assert_true(record_key_seal(&sealing, out, span_of(plain, plain_len), trace->type));
        assert_memory_equal(out, record, record_len);
        assert_true(record_key_open(&opening, record, record_len));
        assert_memory_equal(record + RECORD_KEY_HEADER, plain, plain_len);
        assert_int_equal(record[RECORD_KEY_HEADER + plain_len], trace->type);
        record_key_fini(&sealing);
        record_key_fini(&opening);
    }
}

struct ends {
    struct record_key sealing;
    struct record_key opening;
};

static void set_up(struct ends *ends, enum aead_suite suite) {
    struct traffic_secret secret = {.len = suite == AEAD_AES_256_GCM ? 48 : 32};
    memset(secret.bytes, 0x5a, secret.len);
    assert_true(record_key_init(&ends->sealing, suite, &secret));
    assert_true(record_key_init(&ends->opening, suite, &secret));
}

static void tear_down(struct ends *ends) {
    record_key_fini(&ends->sealing);
    record_key_fini(&ends->opening);
}

static bool passes(struct ends *ends, const char *text) {
    uint8_t record[64];
    size_t len = strlen(text);
    assert_true(record_key_seal(&ends->sealing, record, span_of_text(text), 23));
    return record_key_open(&ends->opening, record, len + RECORD_KEY_OVERHEAD) &&
           memcmp(record + RECORD_KEY_HEADER, text, len) == 0;
}

static void both_ends_update_alike(void **state) {
    (void)state;
    for (int suite = AEAD_AES_128_GCM; suite <= AEAD_CHACHA20_POLY1305; suite++) {
        struct ends ends;
        set_up(&ends, (enum aead_suite)suite);
        for (int i = 0; i < 40; i++) {
            assert_true(passes(&ends, "some words"));
            if (i % 3 == 0) {
                assert_true(record_key_update(&ends.sealing));
                assert_true(record_key_update(&ends.opening));
                assert_int_equal(ends.sealing.secret.sequence, 0);
            }
        }
        assert_true(record_key_update(&ends.sealing));
        assert_false(passes(&ends, "sealed with the next key"));
        tear_down(&ends);
    }
}

static void a_record_is_bound_to_its_number_and_header(void **state) {
    (void)state;
    struct ends ends;
    set_up(&ends, AEAD_AES_128_GCM);
    uint8_t first[64];
    uint8_t again[64];
    assert_true(record_key_seal(&ends.sealing, first, span_of_text("same"), 23));
    assert_true(record_key_seal(&ends.sealing, again, span_of_text("same"), 23));
    assert_memory_not_equal(first, again, 4 + RECORD_KEY_OVERHEAD);
    // The second one, where the first is expected.
    assert_false(record_key_open(&ends.opening, again, 4 + RECORD_KEY_OVERHEAD));
    tear_down(&ends);
    set_up(&ends, AEAD_AES_128_GCM);
    first[1] ^= 1;
    assert_false(record_key_open(&ends.opening, first, 4 + RECORD_KEY_OVERHEAD));
    tear_down(&ends);
}

static void nothing_of_a_key_stays(void **state) {
    (void)state;
    struct ends ends;
    set_up(&ends, AEAD_AES_128_GCM);
    tear_down(&ends);
    static const struct ends ZERO;
    assert_memory_equal(&ends, &ZERO, sizeof(ZERO));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_traces_of_the_rfc_hold),
        cmocka_unit_test(both_ends_update_alike),
        cmocka_unit_test(a_record_is_bound_to_its_number_and_header),
        cmocka_unit_test(nothing_of_a_key_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
