#include "authority/tokens.h"

#include <stdint.h>
#include <stdlib.h>

#include <openssl/mem.h>
#include <openssl/sha.h>

#include "authority/subject_id.h"
#include "authority/yaml_records.h"
#include "base/buf.h"
#include "base/file.h"

struct digest {
    uint8_t bytes[SHA256_DIGEST_LENGTH];
};

struct token {
    struct digest digest;
    char *spiffe_id;
};

struct tokens {
    struct token *token;
    size_t num;
    size_t cap;
};

struct reading {
    struct tokens *tokens;
    const char *trust_domain;
    struct token draft;
};

void tokens_free(struct tokens *tokens) {
    if (tokens == NULL) {
        return;
    }
    for (size_t i = 0; i < tokens->num; i++) {
        free(tokens->token[i].spiffe_id);
    }
    free(tokens->token);
    free(tokens);
}

size_t tokens_num(const struct tokens *tokens) {
    return tokens->num;
}

// Digests are of one length and tell nothing of the token they were made of, and all of them are
// compared.
static const struct token *find(const struct tokens *tokens, const struct digest *digest) {
    const struct token *found = NULL;
    for (size_t i = 0; i < tokens->num; i++) {
        const struct token *token = &tokens->token[i];
        found = CRYPTO_memcmp(token->digest.bytes, digest->bytes, sizeof(digest->bytes)) == 0
                    ? token
                    : found;
    }
    return found;
}

static struct digest digest_of(struct span token) {
    struct digest digest;
    SHA256(token.ptr, token.len, digest.bytes);
    return digest;
}

const char *tokens_find(const struct tokens *tokens, struct span token) {
    struct digest digest = digest_of(token);
    const struct token *found = find(tokens, &digest);
    return found != NULL ? found->spiffe_id : NULL;
}

#define TOKEN_SENTENCE "token must be 16 to 4096 printable characters without spaces"

static bool is_token(struct span text) {
    if (text.len < TOKENS_LEN_MIN || text.len > TOKENS_LEN_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~') {
            return false;
        }
    }
    return true;
}

static bool read_token(void *arg, struct yaml_records_scalar value, struct err *err) {
    struct reading *reading = arg;
    if (!is_token(value.text)) {
        return ERR_SET(err, ERR_INPUT, TOKEN_SENTENCE);
    }
    reading->draft.digest = digest_of(value.text);
    return find(reading->tokens, &reading->draft.digest) == NULL ||
           ERR_SET(err, ERR_INPUT, "this token is in the file already");
}

static bool read_spiffe_id(void *arg, struct yaml_records_scalar value, struct err *err) {
    struct reading *reading = arg;
    reading->draft.spiffe_id = subject_id_parse(value.text, reading->trust_domain, err);
    return reading->draft.spiffe_id != NULL;
}

static bool append(void *arg, struct err *err) {
    struct reading *reading = arg;
    struct tokens *tokens = reading->tokens;
    if (tokens->num == tokens->cap) {
        size_t cap = tokens->cap == 0 ? 16 : tokens->cap * 2;
        struct token *grown = reallocarray(tokens->token, cap, sizeof(*grown));
        if (grown == NULL) {
            return ERR_NO_MEMORY(err, "reading the tokens");
        }
        tokens->token = grown;
        tokens->cap = cap;
    }
    tokens->token[tokens->num++] = reading->draft;
    reading->draft = (struct token){0};
    return true;
}

static const struct yaml_records_field fields[] = {
    {"token", read_token, TOKEN_SENTENCE},
    {"spiffeId", read_spiffe_id, "spiffeId must be a text like \"spiffe://example.org/web\""},
};

static const struct yaml_records_form form = {
    .fields = fields,
    .num_fields = sizeof(fields) / sizeof(fields[0]),
    .example = "an entry is written {token: \"...\", spiffeId: \"spiffe://...\"}",
    .keys = "unknown key: an entry has token and spiffeId",
    .max = TOKENS_MAX,
    .end = append,
};

struct tokens *tokens_parse(const char *name, struct span text, const char *trust_domain,
                            struct err *err) {
    OWNED(tokens_free) struct tokens *tokens = calloc(1, sizeof(*tokens));
    if (tokens == NULL) {
        ERR_NO_MEMORY(err, "reading the tokens");
        return NULL;
    }
    struct reading reading = {.tokens = tokens, .trust_domain = trust_domain};
    bool ok = yaml_records_parse(name, text, &form, &reading, err);
    free(reading.draft.spiffe_id);
    return ok ? take(&tokens) : NULL;
}

struct tokens *tokens_load(const char *path, const char *trust_domain, struct err *err) {
    struct buf text __attribute__((cleanup(buf_clear_secret))) = {0};
    if (!file_read(path, TOKENS_FILE_MAX, &text, err)) {
        return NULL;
    }
    return tokens_parse(path, buf_span(&text), trust_domain, err);
}
