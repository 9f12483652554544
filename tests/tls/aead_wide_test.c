// The AEAD with wide instructions against BoringSSL's: every length, every alignment, in place and
// not, sealing and opening, forgeries. Skipped, and said so, where the CPU has no such
// instructions.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/tls/aead_wide.h"

#define LEN_MAX 16384
#define SLACK 128

struct pair {
    struct aead wide;
    struct aead library;
    uint8_t nonce[AEAD_NONCE_LEN];
    uint8_t header[5];
    struct aead_record record;
    uint8_t plain[LEN_MAX + SLACK];
    uint8_t by_wide[LEN_MAX + SLACK];
    uint8_t by_library[LEN_MAX + SLACK];
};

static const enum aead_suite SUITES[] = {AEAD_AES_128_GCM, AEAD_AES_256_GCM};

static void set_up(struct pair *pair, enum aead_suite suite) {
    for (size_t i = 0; i < sizeof(pair->plain); i++) {
        pair->plain[i] = (uint8_t)(i * 31 + (i >> 7));
    }
    memset(pair->nonce, 0x42, sizeof(pair->nonce));
    memcpy(pair->header, "\x17\x03\x03\x40\x11", 5);
    pair->record = (struct aead_record){pair->nonce, span_of(pair->header, 5)};
    assert_true(aead_init(&pair->wide, aead_wide(), suite, pair->plain));
    assert_true(aead_init(&pair->library, aead_library(), suite, pair->plain));
}

static void tear_down(struct pair *pair) {
    aead_fini(&pair->wide);
    aead_fini(&pair->library);
}

// From `from` bytes behind an aligned address to `to` bytes behind one; each opens the other's.
static void compare(struct pair *pair, size_t len, size_t from, size_t to) {
    uint8_t *wide = pair->by_wide + to;
    uint8_t *library = pair->by_library + to;
    size_t sealed = len + AEAD_OVERHEAD;
    struct span plain = span_of(pair->plain + from, len);
    pair->nonce[11]++;
    wide[sealed] = 0xa5; // the next byte is somebody else's
    assert_true(aead_seal(&pair->wide, &pair->record, wide, plain, 23));
    assert_true(aead_seal(&pair->library, &pair->record, library, plain, 23));
    if (memcmp(wide, library, sealed) != 0 || wide[sealed] != 0xa5) {
        fail_msg("length %zu, from %zu to %zu: sealed differently", len, from, to);
    }
    bool opened = aead_open(&pair->library, &pair->record, wide, sealed) &&
                  aead_open(&pair->wide, &pair->record, library, sealed);
    if (!opened || memcmp(wide, plain.ptr, len) != 0 || memcmp(library, plain.ptr, len) != 0 ||
        wide[len] != 23 || library[len] != 23) {
        fail_msg("length %zu, from %zu to %zu: opened differently", len, from, to);
    }
}

static void every_length(void **state) {
    (void)state;
    if (aead_wide() == NULL) {
        print_message("    SKIPPED: this CPU has no AVX-512 with VAES, or PAVISE_AEAD says no\n");
        skip();
    }
    struct pair *pair = calloc(1, sizeof(*pair));
    assert_non_null(pair);
    for (size_t i = 0; i < 2; i++) {
        set_up(pair, SUITES[i]);
        for (size_t len = 0; len <= LEN_MAX; len += len < 1200 ? 1 : 37) {
            compare(pair, len, len % 64, (len * 7 + 5) % 64);
        }
        for (size_t len = LEN_MAX - 40; len <= LEN_MAX; len++) {
            compare(pair, len, 9, 5);
        }
        tear_down(pair);
    }
    free(pair);
}

static void every_alignment(void **state) {
    (void)state;
    if (aead_wide() == NULL) {
        skip();
    }
    static const size_t LENGTHS[] = {1, 16, 63, 255, 1024, 4097};
    struct pair *pair = calloc(1, sizeof(*pair));
    assert_non_null(pair);
    set_up(pair, AEAD_AES_128_GCM);
    for (size_t from = 0; from < 64; from++) {
        for (size_t to = 0; to < 64; to++) {
            compare(pair, LENGTHS[(from + to) % 6], from, to);
        }
    }
    tear_down(pair);
    free(pair);
}

static void in_place(void **state) {
    (void)state;
    if (aead_wide() == NULL) {
        skip();
    }
    struct pair *pair = calloc(1, sizeof(*pair));
    assert_non_null(pair);
    set_up(pair, AEAD_AES_256_GCM);
    for (size_t len = 0; len < 3000; len++) {
        uint8_t *here = pair->by_wide + len % 64;
        memcpy(here, pair->plain, len);
        assert_true(aead_seal(&pair->wide, &pair->record, here, span_of(here, len), 22));
        assert_true(aead_seal(&pair->library, &pair->record, pair->by_library,
                              span_of(pair->plain, len), 22));
        assert_memory_equal(here, pair->by_library, len + AEAD_OVERHEAD);
    }
    tear_down(pair);
    free(pair);
}

static void forgeries_do_not_open(void **state) {
    (void)state;
    if (aead_wide() == NULL) {
        skip();
    }
    struct pair *pair = calloc(1, sizeof(*pair));
    assert_non_null(pair);
    for (size_t i = 0; i < 2; i++) {
        set_up(pair, SUITES[i]);
        size_t sealed = 300 + AEAD_OVERHEAD;
        for (size_t bit = 0; bit < 8 * sealed; bit++) {
            assert_true(aead_seal(&pair->library, &pair->record, pair->by_library,
                                  span_of(pair->plain, 300), 23));
            pair->by_library[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_false(aead_open(&pair->wide, &pair->record, pair->by_library, sealed));
        }
        for (size_t len = 0; len < sealed; len++) {
            assert_true(aead_seal(&pair->library, &pair->record, pair->by_library,
                                  span_of(pair->plain, 300), 23));
            assert_false(aead_open(&pair->wide, &pair->record, pair->by_library, len));
        }
        assert_true(aead_seal(&pair->library, &pair->record, pair->by_library,
                              span_of(pair->plain, 300), 23));
        pair->header[4] ^= 1;
        assert_false(aead_open(&pair->wide, &pair->record, pair->by_library, sealed));
        tear_down(pair);
    }
    free(pair);
}

static void it_has_no_chacha(void **state) {
    (void)state;
    if (aead_wide() == NULL) {
        skip();
    }
    static const uint8_t key[AEAD_KEY_MAX];
    struct aead aead;
    assert_false(aead_init(&aead, aead_wide(), AEAD_CHACHA20_POLY1305, key));
    assert_null(aead.ops);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length),     cmocka_unit_test(every_alignment),
        cmocka_unit_test(in_place),         cmocka_unit_test(forgeries_do_not_open),
        cmocka_unit_test(it_has_no_chacha),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
