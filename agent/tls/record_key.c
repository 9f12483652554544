#include "agent/tls/record_key.h"

#include <string.h>

#include <openssl/digest.h>
#include <openssl/err.h>
#include <openssl/hkdf.h>
#include <openssl/mem.h>

#include "agent/tls/aead_wide.h"
#include "base/check.h"

#define TYPE_APPLICATION_DATA 23

// HKDF-Expand-Label(secret, label, "", out_len), RFC 8446 section 7.1.
static bool expand_label(const struct traffic_secret *secret, const char *label, uint8_t *out,
                         size_t out_len) {
    uint8_t info[32] = {(uint8_t)(out_len >> 8), (uint8_t)out_len};
    size_t label_len = strlen(label);
    CHECK(label_len <= sizeof(info) - 10);
    info[2] = (uint8_t)(6 + label_len);
    memcpy(info + 3, "tls13 ", 6);
    memcpy(info + 9, label, label_len);
    size_t info_len = 9 + label_len + 1; // the empty context has one byte, its length
    const EVP_MD *hash = secret->len == 48 ? EVP_sha384() : EVP_sha256();
    bool ok = HKDF_expand(out, out_len, hash, secret->bytes, secret->len, info, info_len) == 1;
    ERR_clear_error();
    return ok;
}

// In place, because a key may not be moved.
static bool make_keys(struct record_key *key, const struct aead_ops *ops) {
    uint8_t bytes[AEAD_KEY_MAX];
    aead_fini(&key->aead);
    bool ok = ops != NULL && expand_label(&key->secret, "key", bytes, aead_key_len(key->suite)) &&
              expand_label(&key->secret, "iv", key->iv, sizeof(key->iv)) &&
              aead_init(&key->aead, ops, key->suite, bytes);
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return ok;
}

bool record_key_init(struct record_key *key, enum aead_suite suite,
                     const struct traffic_secret *secret) {
    *key = (struct record_key){.suite = suite, .secret = *secret};
    if (make_keys(key, aead_library())) {
        return true;
    }
    record_key_fini(key);
    return false;
}

void record_key_fini(struct record_key *key) {
    aead_fini(&key->aead);
    OPENSSL_cleanse(key, sizeof(*key));
}

bool record_key_update(struct record_key *key) {
    struct traffic_secret next = {.len = key->secret.len};
    bool ok = expand_label(&key->secret, "traffic upd", next.bytes, next.len);
    if (ok) {
        const struct aead_ops *ops = key->aead.ops;
        key->secret = next;
        ok = make_keys(key, ops);
    }
    OPENSSL_cleanse(&next, sizeof(next));
    return ok;
}

// The same key in the hands of the faster AEAD, where there is one.
static void widen(struct record_key *key) {
    const struct aead_ops *wide = key->suite == AEAD_CHACHA20_POLY1305 ? NULL : aead_wide();
    if (wide != NULL && !make_keys(key, wide)) {
        (void)make_keys(key, aead_library()); // if that fails, too, the next record does
    }
}

static void note_record(struct record_key *key, size_t len) {
    if (len >= RECORD_KEY_BULK_LEN && key->num_large < RECORD_KEY_BULK_RECORDS &&
        ++key->num_large == RECORD_KEY_BULK_RECORDS) {
        widen(key);
    }
}

// The nonce of the next record. Each number is used once.
static void next_nonce(struct record_key *key, uint8_t nonce[AEAD_NONCE_LEN]) {
    uint64_t sequence = key->secret.sequence++;
    CHECK(sequence != UINT64_MAX); // keys change long before
    memcpy(nonce, key->iv, AEAD_NONCE_LEN);
    for (int i = 0; i < 8; i++) {
        nonce[AEAD_NONCE_LEN - 1 - i] ^= (uint8_t)(sequence >> (8 * i));
    }
}

bool record_key_seal(struct record_key *key, uint8_t *out, struct span in, uint8_t type) {
    uint8_t nonce[AEAD_NONCE_LEN];
    note_record(key, in.len);
    next_nonce(key, nonce);
    size_t len = in.len + AEAD_OVERHEAD;
    out[0] = TYPE_APPLICATION_DATA;
    out[1] = 3;
    out[2] = 3;
    out[3] = (uint8_t)(len >> 8);
    out[4] = (uint8_t)len;
    struct aead_record record = {.nonce = nonce, .header = span_of(out, RECORD_KEY_HEADER)};
    return aead_seal(&key->aead, &record, out + RECORD_KEY_HEADER, in, type);
}

bool record_key_open(struct record_key *key, uint8_t *bytes, size_t len) {
    uint8_t nonce[AEAD_NONCE_LEN];
    note_record(key, len);
    next_nonce(key, nonce);
    struct aead_record record = {.nonce = nonce, .header = span_of(bytes, RECORD_KEY_HEADER)};
    return aead_open(&key->aead, &record, bytes + RECORD_KEY_HEADER, len - RECORD_KEY_HEADER);
}
