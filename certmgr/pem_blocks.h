// Finds the PEM blocks in the bytes of a file, one after the other: text in between, CRLF, a byte
// order mark and commented-out blocks are passed over. A damaged block is said and the search goes
// on behind its BEGIN line, so that a caller may take what is whole or refuse it all. Pure.
#ifndef CERTMGR_PEM_BLOCKS_H
#define CERTMGR_PEM_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

// Where a search is; a value of the caller. The bytes are borrowed.
struct pem_blocks {
    struct span all;
    struct span rest; // starts with a BEGIN line; ptr NULL at the end
};

struct pem_block {
    struct span label; // "CERTIFICATE"
    struct span body;  // base64 and white space, perhaps headers
};

enum pem_blocks_step { PEM_BLOCKS_END, PEM_BLOCKS_ONE, PEM_BLOCKS_BAD };

void pem_blocks_init(struct pem_blocks *blocks, struct span input);
bool pem_blocks_at_end(const struct pem_blocks *blocks);
// PEM_BLOCKS_ONE fills `out`; PEM_BLOCKS_BAD says in `err` what is wrong with this block ("has a
// ..."), and may be called again.
enum pem_blocks_step pem_blocks_next(struct pem_blocks *blocks, struct pem_block *out,
                                     struct err *err) MUST_USE;

// The bytes that the block's base64 stands for: *der is freed with OPENSSL_free, which wipes it.
// Blocks with headers (encrypted keys) are errors.
bool pem_blocks_decode(const struct pem_block *block, uint8_t **der, size_t *der_len,
                       struct err *err) MUST_USE;

#endif
