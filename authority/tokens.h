// Who a caller with a token is: the tokens file maps bearer tokens to SPIFFE IDs.
//   - {token: "at least 16 characters", spiffeId: "spiffe://example.org/ns/default/sa/web"}
// Immutable once parsed; one owner. Only digests of the tokens are kept.
#ifndef AUTHORITY_TOKENS_H
#define AUTHORITY_TOKENS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

#define TOKENS_FILE_MAX ((size_t)4 * 1024 * 1024)
#define TOKENS_MAX 4096
#define TOKENS_LEN_MIN 16   // characters of a token: fewer can be guessed
#define TOKENS_LEN_MAX 4096 // printable ASCII without spaces

struct tokens;

// Parses the text of a file. Every ID is of `trust_domain` and has a path; no token is there twice.
// An error is one sentence, `name:line:col: ...`, without the token. An empty file is an error;
// `[]` refuses every caller.
struct tokens *tokens_parse(const char *name, struct span text, const char *trust_domain,
                            struct err *err) MUST_USE;
// The same for a file.
struct tokens *tokens_load(const char *path, const char *trust_domain, struct err *err) MUST_USE;
void tokens_free(struct tokens *tokens);
OWN_DEFINE(struct tokens, tokens_free)

// The SPIFFE ID of `token`, borrowed; NULL when it is none of ours. How long this takes does not
// depend on which one it is or how much of one it holds.
const char *tokens_find(const struct tokens *tokens, struct span token);
size_t tokens_num(const struct tokens *tokens);

#endif
