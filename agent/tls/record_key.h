// One direction of TLS 1.3 after the handshake: a traffic secret, the key made of it, and the
// number of the next record (RFC 8446 sections 5.2, 5.3 and 7.2). Seals and opens single records;
// what is in them is tls_record's business. One owner, not thread-safe.
#ifndef AGENT_TLS_RECORD_KEY_H
#define AGENT_TLS_RECORD_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/tls/aead.h"
#include "agent/tls/traffic_secrets.h"
#include "base/own.h"
#include "base/span.h"

#define RECORD_KEY_HEADER 5
// Bulk begins with so many records of at least so many bytes: then the wide AEAD is worth its
// price.
#define RECORD_KEY_BULK_RECORDS 64
#define RECORD_KEY_BULK_LEN 8192
// What a record adds to its plaintext.
#define RECORD_KEY_OVERHEAD (RECORD_KEY_HEADER + AEAD_OVERHEAD)

struct record_key {
    struct aead aead;
    uint8_t iv[AEAD_NONCE_LEN];
    enum aead_suite suite;
    unsigned num_large; // large records so far; stops counting where bulk begins
    struct traffic_secret secret;
};

// Copies `secret`, whose length says which hash the suite uses. False: memory is short.
bool record_key_init(struct record_key *key, enum aead_suite suite,
                     const struct traffic_secret *secret) MUST_USE;
// Wipes it.
void record_key_fini(struct record_key *key);

// Goes on with the next secret, from record 0. False: memory is short, the key is of no more use.
bool record_key_update(struct record_key *key) MUST_USE;

// Writes a record of `in` to `out`: in.len + RECORD_KEY_OVERHEAD bytes, which do not overlap `in`.
// False: the key is of no more use; nothing may be sealed with it again.
bool record_key_seal(struct record_key *key, uint8_t *out, struct span in, uint8_t type) MUST_USE;
// Opens a whole record of `len` bytes in place: what is behind its header is, without the last
// AEAD_TAG_LEN bytes, the plaintext, its type and padding then. False: it was altered.
bool record_key_open(struct record_key *key, uint8_t *record, size_t len) MUST_USE;

#endif
