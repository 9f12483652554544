#include "certmgr/token_file.h"

#include <string.h>

#include "base/file.h"
#include "base/span.h"

static const char PREFIX[] = "Bearer ";

static bool is_space(uint8_t byte) {
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static struct span trimmed(struct span text) {
    while (text.len > 0 && is_space(text.ptr[0])) {
        text = span_after(text, 1);
    }
    while (text.len > 0 && is_space(text.ptr[text.len - 1])) {
        text.len--;
    }
    return text;
}

static bool check(struct span token, const char *path, struct err *err) {
    if (token.len == 0) {
        return ERR_SET(err, ERR_INPUT, "the token file %s is empty", path);
    }
    for (size_t i = 0; i < token.len; i++) {
        if (token.ptr[i] <= ' ' || token.ptr[i] > '~') {
            return ERR_SET(err, ERR_INPUT,
                           "the token file %s does not hold one token: byte %zu of it is not a "
                           "printable character",
                           path, i + 1);
        }
    }
    return true;
}

bool token_file_load(const char *path, struct buf *out, struct err *err) {
    struct buf text __attribute__((cleanup(buf_clear_secret))) = {0};
    // Room for all of it at once: a buffer that grows leaves copies behind.
    if (buf_reserve(&text, 2 * TOKEN_FILE_MAX) == NULL) {
        return ERR_NO_MEMORY(err, "reading a token");
    }
    if (!file_read(path, TOKEN_FILE_MAX, &text, err)) {
        return err_wrap(err, "cannot read the token");
    }
    struct span token = trimmed(buf_span(&text));
    if (!check(token, path, err)) {
        return false;
    }
    uint8_t *to = buf_reserve(out, sizeof(PREFIX) + token.len);
    if (to == NULL) {
        return ERR_NO_MEMORY(err, "reading a token");
    }
    memcpy(to, PREFIX, sizeof(PREFIX) - 1);
    memcpy(to + sizeof(PREFIX) - 1, token.ptr, token.len);
    to[sizeof(PREFIX) - 1 + token.len] = '\0';
    buf_commit(out, sizeof(PREFIX) + token.len);
    return true;
}
