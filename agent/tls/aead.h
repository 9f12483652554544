// The AEADs of TLS 1.3 on whole records: seal plaintext from anywhere, open where it stands.
// Two implementations give the same bytes: BoringSSL's, the default and the oracle, and for bulk
// one that uses wider instructions where the CPU has them (aead_wide.h). No I/O, not thread-safe.
#ifndef AGENT_TLS_AEAD_H
#define AGENT_TLS_AEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/aead.h>

#include "base/own.h"
#include "base/span.h"

#define AEAD_NONCE_LEN 12
#define AEAD_TAG_LEN 16
#define AEAD_KEY_MAX 32
// What sealing adds: the content type and the tag.
#define AEAD_OVERHEAD (1 + AEAD_TAG_LEN)

enum aead_suite { AEAD_AES_128_GCM, AEAD_AES_256_GCM, AEAD_CHACHA20_POLY1305 };

struct aead_ops;

struct aead { // the caller's storage; zeroed, it holds no key
    const struct aead_ops *ops;
    enum aead_suite suite;
    union {
        EVP_AEAD_CTX library;
        void *wide; // owned, on the heap
    } key;
};

// What a record is bound to besides its key; `nonce` is never used twice with one key.
struct aead_record {
    const uint8_t *nonce; // AEAD_NONCE_LEN
    struct span header;   // additional data
};

size_t aead_key_len(enum aead_suite suite);

// An implementation. `seal` and `open` as aead_seal and aead_open below.
struct aead_ops {
    const char *name; // "boringssl"
    bool (*init)(struct aead *aead, const uint8_t *key);
    void (*fini)(struct aead *aead);
    bool (*seal)(const struct aead *aead, const struct aead_record *record, uint8_t *out,
                 struct span in, uint8_t type);
    bool (*open)(const struct aead *aead, const struct aead_record *record, uint8_t *bytes,
                 size_t len);
};
const struct aead_ops *aead_library(void);

// `key` has aead_key_len bytes; it is copied. False: memory is short, or `ops` has no such suite;
// then nothing can be sealed or opened.
bool aead_init(struct aead *aead, const struct aead_ops *ops, enum aead_suite suite,
               const uint8_t *key) MUST_USE;
// Wipes the key.
void aead_fini(struct aead *aead);

// Seals `in` with `type` behind it to `out`, which gets in.len + AEAD_OVERHEAD bytes and is
// `in.ptr` itself or does not overlap it.
bool aead_seal(const struct aead *aead, const struct aead_record *record, uint8_t *out,
               struct span in, uint8_t type) MUST_USE;
// Opens `len` bytes in place: the first len - AEAD_TAG_LEN are the plaintext and its type then.
// False: they are not what the peer sealed, and must not be used.
bool aead_open(const struct aead *aead, const struct aead_record *record, uint8_t *bytes,
               size_t len) MUST_USE;

#endif
