#include "agent/tls/aead_wide.h"

#ifdef PAVISE_IPSEC_MB

#include <cpuid.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <intel-ipsec-mb.h>
#include <openssl/mem.h>

#define KEY_ALIGN 64
#define KEY_SIZE ((sizeof(struct gcm_key_data) + KEY_ALIGN - 1) / KEY_ALIGN * KEY_ALIGN)

// The library's manager refers to every algorithm that it has: 14 MB of them. Its functions for
// AES-GCM stand by themselves and keep no state; the header has only their types.
#define DECLARE(bits)                                                                              \
    extern void aes_keyexp_##bits##_enc_avx512(const void *key, void *round_keys);                 \
    extern void aes_gcm_precomp_##bits##_vaes_avx512(struct gcm_key_data *key);                    \
    extern void aes_gcm_init_##bits##_vaes_avx512(                                                 \
        const struct gcm_key_data *key, struct gcm_context_data *state, const uint8_t *iv,         \
        const uint8_t *aad, uint64_t aad_len);                                                     \
    extern void aes_gcm_enc_##bits##_update_vaes_avx512(                                           \
        const struct gcm_key_data *key, struct gcm_context_data *state, uint8_t *out,              \
        const uint8_t *in, uint64_t len);                                                          \
    extern void aes_gcm_enc_##bits##_finalize_vaes_avx512(const struct gcm_key_data *key,          \
                                                          struct gcm_context_data *state,          \
                                                          uint8_t *tag, uint64_t tag_len);         \
    extern void aes_gcm_dec_##bits##_vaes_avx512(                                                  \
        const struct gcm_key_data *key, struct gcm_context_data *state, uint8_t *out,              \
        const uint8_t *in, uint64_t len, const uint8_t *iv, const uint8_t *aad, uint64_t aad_len,  \
        uint8_t *tag, uint64_t tag_len)
DECLARE(128);
DECLARE(256);

struct gcm {
    void (*expand)(const void *key, void *round_keys);
    void (*precompute)(struct gcm_key_data *key);
    aes_gcm_init_t init;
    aes_gcm_enc_dec_update_t seal;
    aes_gcm_enc_dec_finalize_t finish;
    aes_gcm_enc_dec_t open;
};

#define FUNCTIONS(bits)                                                                            \
    {                                                                                              \
        .expand = aes_keyexp_##bits##_enc_avx512,                                                  \
        .precompute = aes_gcm_precomp_##bits##_vaes_avx512,                                        \
        .init = aes_gcm_init_##bits##_vaes_avx512,                                                 \
        .seal = aes_gcm_enc_##bits##_update_vaes_avx512,                                           \
        .finish = aes_gcm_enc_##bits##_finalize_vaes_avx512,                                       \
        .open = aes_gcm_dec_##bits##_vaes_avx512,                                                  \
    }
static const struct gcm GCM_128 = FUNCTIONS(128);
static const struct gcm GCM_256 = FUNCTIONS(256);

static bool is_usable;
static pthread_once_t usable_once = PTHREAD_ONCE_INIT;

static const struct gcm *gcm_of(const struct aead *aead) {
    return aead->suite == AEAD_AES_128_GCM ? &GCM_128 : &GCM_256;
}

static bool wide_init(struct aead *aead, const uint8_t *key) {
    if (aead->suite == AEAD_CHACHA20_POLY1305) {
        return false;
    }
    struct gcm_key_data *expanded = aligned_alloc(KEY_ALIGN, KEY_SIZE);
    if (expanded == NULL) {
        return false;
    }
    gcm_of(aead)->expand(key, expanded->expanded_keys);
    gcm_of(aead)->precompute(expanded);
    aead->key.wide = expanded;
    return true;
}

static void wide_fini(struct aead *aead) {
    OPENSSL_cleanse(aead->key.wide, KEY_SIZE);
    free(aead->key.wide);
}

// In two parts, so that the plaintext need not have room behind it for the type.
static bool wide_seal(const struct aead *aead, const struct aead_record *record, uint8_t *out,
                      struct span in, uint8_t type) {
    const struct gcm *gcm = gcm_of(aead);
    const struct gcm_key_data *key = aead->key.wide;
    struct gcm_context_data state;
    gcm->init(key, &state, record->nonce, record->header.ptr, record->header.len);
    gcm->seal(key, &state, out, in.ptr, in.len);
    gcm->seal(key, &state, out + in.len, &type, 1);
    gcm->finish(key, &state, out + in.len + 1, AEAD_TAG_LEN);
    return true;
}

// The library gives the tag that should be there and compares nothing: that is our business, and
// nobody may look at the plaintext before.
static bool wide_open(const struct aead *aead, const struct aead_record *record, uint8_t *bytes,
                      size_t len) {
    struct gcm_context_data state;
    uint8_t tag[AEAD_TAG_LEN];
    size_t text_len = len - AEAD_TAG_LEN;
    gcm_of(aead)->open(aead->key.wide, &state, bytes, bytes, text_len, record->nonce,
                       record->header.ptr, record->header.len, tag, sizeof(tag));
    return CRYPTO_memcmp(tag, bytes + text_len, sizeof(tag)) == 0;
}

static const struct aead_ops WIDE = {
    .name = "ipsec-mb",
    .init = wide_init,
    .fini = wide_fini,
    .seal = wide_seal,
    .open = wide_open,
};

// ---- self-check -------------------------------------------------------------------------------

#define CHECK_MAX 16384

struct check {
    struct aead wide;
    struct aead library;
    struct aead_record record;
    uint8_t plain[CHECK_MAX];
    uint8_t by_wide[CHECK_MAX + AEAD_OVERHEAD];
    uint8_t by_library[CHECK_MAX + AEAD_OVERHEAD];
};

// Both seal alike, the wide one opens what BoringSSL sealed, and it refuses a forgery.
static bool agrees(struct check *check, size_t len) {
    struct span plain = span_of(check->plain, len);
    size_t sealed = len + AEAD_OVERHEAD;
    if (!aead_seal(&check->wide, &check->record, check->by_wide, plain, 23) ||
        !aead_seal(&check->library, &check->record, check->by_library, plain, 23) ||
        memcmp(check->by_wide, check->by_library, sealed) != 0 ||
        !aead_open(&check->wide, &check->record, check->by_library, sealed) ||
        memcmp(check->by_library, check->plain, len) != 0 || check->by_library[len] != 23) {
        return false;
    }
    check->by_wide[sealed - 1] ^= 1;
    return !aead_open(&check->wide, &check->record, check->by_wide, sealed);
}

static bool agrees_for(struct check *check, enum aead_suite suite) {
    static const size_t LENGTHS[] = {0,        1, 15, 16, 17, 255, 256, 1000, 4096, CHECK_MAX - 9,
                                     CHECK_MAX};
    if (!aead_init(&check->wide, &WIDE, suite, check->plain) ||
        !aead_init(&check->library, aead_library(), suite, check->plain)) {
        return false;
    }
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof(LENGTHS) / sizeof(LENGTHS[0]); i++) {
        ok = agrees(check, LENGTHS[i]);
    }
    aead_fini(&check->wide);
    aead_fini(&check->library);
    return ok;
}

static bool passes_check(void) {
    static const uint8_t HEADER[5] = {23, 3, 3, 0x40, 0x11};
    struct check *check = calloc(1, sizeof(*check));
    if (check == NULL) {
        return false;
    }
    for (size_t i = 0; i < CHECK_MAX; i++) {
        check->plain[i] = (uint8_t)(i * 167 + (i >> 8));
    }
    check->record = (struct aead_record){.nonce = check->plain + 100, .header = span_of(HEADER, 5)};
    bool ok = agrees_for(check, AEAD_AES_128_GCM) && agrees_for(check, AEAD_AES_256_GCM);
    free(check);
    return ok;
}

// "supports" asks the kernel as well: whether it keeps the wide registers.
static bool has_cpu(void) {
    unsigned a = 0, b = 0, c = 0, d = 0;
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("vpclmulqdq") && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
           (c & bit_VAES) != 0;
}

static void find_out(void) {
    const char *wanted = getenv("PAVISE_AEAD");
    bool is_unwanted = wanted != NULL && strcmp(wanted, "boringssl") == 0;
    is_usable = has_cpu() && !is_unwanted && passes_check();
}

const struct aead_ops *aead_wide(void) {
    pthread_once(&usable_once, find_out);
    return is_usable ? &WIDE : NULL;
}

#else

const struct aead_ops *aead_wide(void) {
    return NULL;
}

#endif
