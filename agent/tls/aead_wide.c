#include "agent/tls/aead_wide.h"

#ifdef PAVISE_IPSEC_MB

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <intel-ipsec-mb.h>
#include <openssl/mem.h>

#define KEY_ALIGN 64
#define KEY_SIZE ((sizeof(struct gcm_key_data) + KEY_ALIGN - 1) / KEY_ALIGN * KEY_ALIGN)
#define FEATURES                                                                                   \
    (IMB_FEATURE_AVX512_SKX | IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ |                          \
     IMB_FEATURE_SELF_TEST_PASS)

// Only the functions of it are used, which keep no state there: threads share it.
static IMB_MGR *manager;
static pthread_once_t manager_once = PTHREAD_ONCE_INIT;

static bool is_128(const struct aead *aead) {
    return aead->suite == AEAD_AES_128_GCM;
}

static bool wide_init(struct aead *aead, const uint8_t *key) {
    if (aead->suite == AEAD_CHACHA20_POLY1305) {
        return false;
    }
    struct gcm_key_data *expanded = aligned_alloc(KEY_ALIGN, KEY_SIZE);
    if (expanded == NULL) {
        return false;
    }
    if (is_128(aead)) {
        IMB_AES128_GCM_PRE(manager, key, expanded);
    } else {
        IMB_AES256_GCM_PRE(manager, key, expanded);
    }
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
    const struct gcm_key_data *key = aead->key.wide;
    struct gcm_context_data state;
    const uint8_t *header = record->header.ptr;
    uint8_t *tag = out + in.len + 1;
    if (is_128(aead)) {
        IMB_AES128_GCM_INIT(manager, key, &state, record->nonce, header, record->header.len);
        IMB_AES128_GCM_ENC_UPDATE(manager, key, &state, out, in.ptr, in.len);
        IMB_AES128_GCM_ENC_UPDATE(manager, key, &state, out + in.len, &type, 1);
        IMB_AES128_GCM_ENC_FINALIZE(manager, key, &state, tag, AEAD_TAG_LEN);
    } else {
        IMB_AES256_GCM_INIT(manager, key, &state, record->nonce, header, record->header.len);
        IMB_AES256_GCM_ENC_UPDATE(manager, key, &state, out, in.ptr, in.len);
        IMB_AES256_GCM_ENC_UPDATE(manager, key, &state, out + in.len, &type, 1);
        IMB_AES256_GCM_ENC_FINALIZE(manager, key, &state, tag, AEAD_TAG_LEN);
    }
    return true;
}

// The library gives the tag that should be there and compares nothing: that is our business, and
// nobody may look at the plaintext before.
static bool wide_open(const struct aead *aead, const struct aead_record *record, uint8_t *bytes,
                      size_t len) {
    const struct gcm_key_data *key = aead->key.wide;
    struct gcm_context_data state;
    uint8_t tag[AEAD_TAG_LEN];
    size_t text_len = len - AEAD_TAG_LEN;
    if (is_128(aead)) {
        IMB_AES128_GCM_DEC(manager, key, &state, bytes, bytes, text_len, record->nonce,
                           record->header.ptr, record->header.len, tag, sizeof(tag));
    } else {
        IMB_AES256_GCM_DEC(manager, key, &state, bytes, bytes, text_len, record->nonce,
                           record->header.ptr, record->header.len, tag, sizeof(tag));
    }
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

// The features are asked for before the library starts: it costs megabytes.
static bool has_cpu(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("vpclmulqdq");
}

static void manager_make(void) {
    const char *wanted = getenv("PAVISE_AEAD");
    if (!has_cpu() || (wanted != NULL && strcmp(wanted, "boringssl") == 0)) {
        return;
    }
    manager = alloc_mb_mgr(0);
    if (manager == NULL) {
        return;
    }
    init_mb_mgr_avx512(manager);
    bool is_good = imb_get_errno(manager) == 0 && (manager->features & FEATURES) == FEATURES;
    if (!is_good || !passes_check()) {
        free_mb_mgr(manager);
        manager = NULL;
    }
}

const struct aead_ops *aead_wide(void) {
    pthread_once(&manager_once, manager_make);
    return manager == NULL ? NULL : &WIDE;
}

#else

const struct aead_ops *aead_wide(void) {
    return NULL;
}

#endif
