// The PEM reader is our own: the library's one keeps parts of a key on its stack, is particular
// about line lengths and takes a damaged BEGIN line for the end of the file.
#include "certmgr/pem_blocks.h"

#include <string.h>

#include <openssl/base64.h>
#include <openssl/err.h>
#include <openssl/mem.h>

#define LABEL_MAX 64
#define DASHES "-----"
#define BEGIN "-----BEGIN "

OWN_DEFINE(uint8_t, OPENSSL_free)

static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span find(struct span in, const char *text) {
    const uint8_t *at = in.len == 0 ? NULL : memmem(in.ptr, in.len, text, strlen(text));
    return at == NULL ? span_of(NULL, 0) : span_after(in, (size_t)(at - in.ptr));
}

static bool starts_with(struct span in, const void *text, size_t len) {
    return in.len >= len && memcmp(in.ptr, text, len) == 0;
}

// The next BEGIN at the start of a line: a commented-out block is none.
static struct span find_begin(struct span all, struct span rest) {
    for (;;) {
        struct span at = find(rest, BEGIN);
        if (at.ptr == NULL || at.ptr == all.ptr || at.ptr[-1] == '\n' || at.ptr[-1] == '\r') {
            return at;
        }
        rest = span_after(at, 1);
    }
}

// The end of a BEGIN or END line: dashes, perhaps white space, and no more.
static bool skip_line_end(struct span *rest) {
    if (!starts_with(*rest, DASHES, strlen(DASHES))) {
        return false;
    }
    *rest = span_after(*rest, strlen(DASHES));
    while (rest->len > 0 && is_space(rest->ptr[0])) {
        if (rest->ptr[0] == '\n') {
            return true;
        }
        *rest = span_after(*rest, 1);
    }
    return rest->len == 0 || rest->ptr[-1] == '\r';
}

// Takes the block that `rest` starts with off it.
static bool take_block(struct span *rest, struct pem_block *out, struct err *err) {
    struct span at = span_after(*rest, strlen(BEGIN));
    struct span label_end = find(at, DASHES);
    out->label = span_of(at.ptr, at.len - label_end.len);
    if (label_end.ptr == NULL || out->label.len == 0 || out->label.len > LABEL_MAX ||
        memchr(out->label.ptr, '\n', out->label.len) != NULL || !skip_line_end(&label_end)) {
        return ERR_SET(err, ERR_INPUT, "has a damaged BEGIN line");
    }
    struct span end = find(label_end, DASHES);
    out->body = span_of(label_end.ptr, label_end.len - end.len);
    static const char word[] = "-----END ";
    bool closed = end.ptr != NULL && starts_with(end, word, strlen(word));
    end = closed ? span_after(end, strlen(word)) : end;
    closed = closed && starts_with(end, out->label.ptr, out->label.len);
    end = closed ? span_after(end, out->label.len) : end;
    if (!closed || !skip_line_end(&end)) {
        return ERR_SET(err, ERR_INPUT, "has a PEM block that is not complete (half-written?)");
    }
    *rest = end;
    return true;
}

void pem_blocks_init(struct pem_blocks *blocks, struct span input) {
    static const uint8_t byte_order_mark[] = {0xef, 0xbb, 0xbf};
    if (starts_with(input, byte_order_mark, sizeof byte_order_mark)) {
        input = span_after(input, sizeof byte_order_mark);
    }
    *blocks = (struct pem_blocks){.all = input, .rest = find_begin(input, input)};
}

bool pem_blocks_at_end(const struct pem_blocks *blocks) {
    return blocks->rest.ptr == NULL;
}

enum pem_blocks_step pem_blocks_next(struct pem_blocks *blocks, struct pem_block *out,
                                     struct err *err) {
    if (blocks->rest.ptr == NULL) {
        return PEM_BLOCKS_END;
    }
    struct span rest = blocks->rest;
    struct pem_block block = {0};
    bool is_whole = take_block(&rest, &block, err);
    if (is_whole) {
        *out = block;
    } else {
        rest = span_after(blocks->rest, strlen(BEGIN));
    }
    blocks->rest = find_begin(blocks->all, rest);
    return is_whole ? PEM_BLOCKS_ONE : PEM_BLOCKS_BAD;
}

bool pem_blocks_decode(const struct pem_block *block, uint8_t **der, size_t *der_len,
                       struct err *err) {
    if (block->body.len > 0 && memchr(block->body.ptr, ':', block->body.len) != NULL) {
        return ERR_SET(err, ERR_INPUT,
                       "has a PEM block with headers: an encrypted key is not "
                       "supported; decrypt it first");
    }
    OWNED(OPENSSL_free) uint8_t *packed = OPENSSL_malloc(block->body.len + 1);
    OWNED(OPENSSL_free) uint8_t *bytes = OPENSSL_malloc(block->body.len + 1);
    if (packed == NULL || bytes == NULL) {
        return ERR_NO_MEMORY(err, "reading PEM");
    }
    size_t packed_len = 0;
    for (size_t i = 0; i < block->body.len; i++) {
        if (!is_space(block->body.ptr[i])) {
            packed[packed_len++] = block->body.ptr[i];
        }
    }
    size_t len = 0;
    if (!EVP_DecodeBase64(bytes, &len, block->body.len + 1, packed, packed_len) || len == 0) {
        ERR_clear_error();
        return ERR_SET(err, ERR_INPUT, "has a PEM block that is not base64");
    }
    *der = take(&bytes);
    *der_len = len;
    return true;
}
