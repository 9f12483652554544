// Several runs of bytes under one digest, each after its length: no two lists of runs give the same
// bytes to it.
#ifndef CERTMGR_SIZED_HASH_H
#define CERTMGR_SIZED_HASH_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/sha.h>

static inline void sized_hash_add(SHA256_CTX *sha, const void *bytes, size_t len) {
    uint64_t size = len;
    SHA256_Update(sha, &size, sizeof(size));
    SHA256_Update(sha, bytes, len);
}

#endif
