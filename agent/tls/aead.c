#include "agent/tls/aead.h"

#include <openssl/err.h>
#include <openssl/mem.h>

static const EVP_AEAD *library_aead(enum aead_suite suite) {
    switch (suite) {
    case AEAD_AES_128_GCM:
        return EVP_aead_aes_128_gcm();
    case AEAD_AES_256_GCM:
        return EVP_aead_aes_256_gcm();
    case AEAD_CHACHA20_POLY1305:
        break;
    }
    return EVP_aead_chacha20_poly1305();
}

size_t aead_key_len(enum aead_suite suite) {
    return suite == AEAD_AES_128_GCM ? 16 : 32;
}

static bool library_init(struct aead *aead, const uint8_t *key) {
    EVP_AEAD_CTX_zero(&aead->key.library);
    bool ok = EVP_AEAD_CTX_init(&aead->key.library, library_aead(aead->suite), key,
                                aead_key_len(aead->suite), AEAD_TAG_LEN, NULL) == 1;
    ERR_clear_error();
    return ok;
}

static void library_fini(struct aead *aead) {
    EVP_AEAD_CTX_cleanup(&aead->key.library);
}

static bool library_seal(const struct aead *aead, const struct aead_record *record, uint8_t *out,
                         struct span in, uint8_t type) {
    size_t behind = 0;
    bool ok =
        EVP_AEAD_CTX_seal_scatter(&aead->key.library, out, out + in.len, &behind, AEAD_OVERHEAD,
                                  record->nonce, AEAD_NONCE_LEN, in.ptr, in.len, &type, 1,
                                  record->header.ptr, record->header.len) == 1;
    return ok && behind == AEAD_OVERHEAD;
}

static bool library_open(const struct aead *aead, const struct aead_record *record, uint8_t *bytes,
                         size_t len) {
    size_t opened = 0;
    bool ok =
        EVP_AEAD_CTX_open(&aead->key.library, bytes, &opened, len, record->nonce, AEAD_NONCE_LEN,
                          bytes, len, record->header.ptr, record->header.len) == 1;
    if (!ok) {
        ERR_clear_error();
    }
    return ok;
}

static const struct aead_ops LIBRARY = {
    .name = "boringssl",
    .init = library_init,
    .fini = library_fini,
    .seal = library_seal,
    .open = library_open,
};

const struct aead_ops *aead_library(void) {
    return &LIBRARY;
}

bool aead_init(struct aead *aead, const struct aead_ops *ops, enum aead_suite suite,
               const uint8_t *key) {
    *aead = (struct aead){.ops = ops, .suite = suite};
    if (ops->init(aead, key)) {
        return true;
    }
    *aead = (struct aead){0};
    return false;
}

void aead_fini(struct aead *aead) {
    if (aead->ops != NULL) {
        aead->ops->fini(aead);
    }
    OPENSSL_cleanse(aead, sizeof(*aead));
}

bool aead_seal(const struct aead *aead, const struct aead_record *record, uint8_t *out,
               struct span in, uint8_t type) {
    return aead->ops != NULL && aead->ops->seal(aead, record, out, in, type);
}

bool aead_open(const struct aead *aead, const struct aead_record *record, uint8_t *bytes,
               size_t len) {
    return aead->ops != NULL && len >= AEAD_TAG_LEN && aead->ops->open(aead, record, bytes, len);
}
