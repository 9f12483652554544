// A bearer token kept in a file, as Kubernetes projects it; whoever keeps it replaces it now and
// then, so it is read at each use.
#ifndef CERTMGR_TOKEN_FILE_H
#define CERTMGR_TOKEN_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"

#define TOKEN_FILE_MAX ((size_t)16 * 1024) // bytes

// Appends "Bearer TOKEN" and a NUL: a secret, buf_clear_secret it. White space around the token is
// dropped. An empty token, or one with bytes that a header cannot carry, is an error; messages
// never show any of it.
bool token_file_load(const char *path, struct buf *out, struct err *err) MUST_USE;

#endif
