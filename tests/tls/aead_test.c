// The AEADs: published vectors, forgeries, every length in place and from elsewhere.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/tls/aead.h"
#include "tests/tls/hex.h"

struct vector {
    const char *name;
    enum aead_suite suite;
    const char *key;
    const char *nonce;
    const char *header;
    const char *plain; // its last byte stands for the content type
    const char *sealed;
};

// The GCM specification's test cases 4 and 16 (McGrew and Viega), and RFC 8439 section 2.8.2.
static const struct vector VECTORS[] = {
    {"AES-128-GCM", AEAD_AES_128_GCM, "feffe9928665731c6d6a8f9467308308",
     "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
     "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
     "5bc94fbc3221a5db94fae95ae7121a47"},
    {"AES-256-GCM", AEAD_AES_256_GCM,
     "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
     "76fc6ece0f4e1768cddf8853bb2d551b"},
    {"ChaCha20-Poly1305", AEAD_CHACHA20_POLY1305,
     "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", "070000004041424344454647",
     "50515253c0c1c2c3c4c5c6c7",
     "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
     "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
     "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
     "637265656e20776f756c642062652069742e",
     "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
     "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
     "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
     "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691"},
};

#define NUM_VECTORS (sizeof(VECTORS) / sizeof(VECTORS[0]))

// A vector as bytes, with the key made.
struct unpacked {
    struct aead aead;
    uint8_t nonce[AEAD_NONCE_LEN];
    uint8_t header[32];
    uint8_t plain[128];
    uint8_t sealed[160];
    size_t plain_len;
    size_t sealed_len;
    struct aead_record record;
};

static void unpack(const struct vector *vector, struct unpacked *out) {
    uint8_t key[AEAD_KEY_MAX];
    assert_int_equal(hex_read(vector->key, key, sizeof(key)), aead_key_len(vector->suite));
    assert_int_equal(hex_read(vector->nonce, out->nonce, sizeof(out->nonce)), AEAD_NONCE_LEN);
    size_t header_len = hex_read(vector->header, out->header, sizeof(out->header));
    out->plain_len = hex_read(vector->plain, out->plain, sizeof(out->plain));
    out->sealed_len = hex_read(vector->sealed, out->sealed, sizeof(out->sealed));
    out->record = (struct aead_record){out->nonce, span_of(out->header, header_len)};
    assert_true(aead_init(&out->aead, aead_library(), vector->suite, key));
}

static void published_vectors_hold(void **state) {
    (void)state;
    for (size_t i = 0; i < NUM_VECTORS; i++) {
        print_message("    %s\n", VECTORS[i].name);
        struct unpacked v;
        unpack(&VECTORS[i], &v);
        uint8_t out[160];
        struct span in = span_of(v.plain, v.plain_len - 1);
        assert_true(aead_seal(&v.aead, &v.record, out, in, v.plain[v.plain_len - 1]));
        assert_memory_equal(out, v.sealed, v.sealed_len);
        assert_true(aead_open(&v.aead, &v.record, out, v.sealed_len));
        assert_memory_equal(out, v.plain, v.plain_len);
        aead_fini(&v.aead);
    }
}

static void forgeries_do_not_open(void **state) {
    (void)state;
    for (size_t i = 0; i < NUM_VECTORS; i++) {
        struct unpacked v;
        unpack(&VECTORS[i], &v);
        uint8_t out[160];
        for (size_t bit = 0; bit < 8 * v.sealed_len; bit++) {
            memcpy(out, v.sealed, v.sealed_len);
            out[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_false(aead_open(&v.aead, &v.record, out, v.sealed_len));
        }
        for (size_t len = 0; len < v.sealed_len; len++) {
            memcpy(out, v.sealed, v.sealed_len);
            assert_false(aead_open(&v.aead, &v.record, out, len));
        }
        memcpy(out, v.sealed, v.sealed_len);
        v.header[0] ^= 1;
        assert_false(aead_open(&v.aead, &v.record, out, v.sealed_len));
        v.header[0] ^= 1;
        v.nonce[11] ^= 1;
        memcpy(out, v.sealed, v.sealed_len);
        assert_false(aead_open(&v.aead, &v.record, out, v.sealed_len));
        aead_fini(&v.aead);
    }
}

// What is sealed in place and from elsewhere is the same, and opens to what it was.
static void every_length_comes_back(void **state) {
    (void)state;
    static uint8_t plain[600];
    for (size_t i = 0; i < sizeof(plain); i++) {
        plain[i] = (uint8_t)(i * 7 + 1);
    }
    for (size_t i = 0; i < NUM_VECTORS; i++) {
        struct unpacked v;
        unpack(&VECTORS[i], &v);
        for (size_t len = 0; len <= 512; len++) {
            uint8_t there[600];
            uint8_t here[600];
            memcpy(here, plain, len);
            assert_true(aead_seal(&v.aead, &v.record, there, span_of(plain, len), 23));
            assert_true(aead_seal(&v.aead, &v.record, here, span_of(here, len), 23));
            assert_memory_equal(here, there, len + AEAD_OVERHEAD);
            assert_true(aead_open(&v.aead, &v.record, here, len + AEAD_OVERHEAD));
            assert_memory_equal(here, plain, len);
            assert_int_equal(here[len], 23);
        }
        aead_fini(&v.aead);
    }
}

static void a_wiped_key_leaves_nothing(void **state) {
    (void)state;
    struct unpacked v;
    unpack(&VECTORS[0], &v);
    aead_fini(&v.aead);
    static const struct aead ZERO;
    assert_memory_equal(&v.aead, &ZERO, sizeof(ZERO));
    aead_fini(&v.aead);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors_hold),
        cmocka_unit_test(forgeries_do_not_open),
        cmocka_unit_test(every_length_comes_back),
        cmocka_unit_test(a_wiped_key_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
