// The environment variables by which runtimes find the trust store, in three forms: lines for
// `docker run --env-file`, a shell script, and a table to add to an environment. Pure.
#ifndef CERTMGR_TRUST_TRUST_ENV_H
#define CERTMGR_TRUST_TRUST_ENV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/own.h"

// Where the store is. The directory's name needs no quoting anywhere
// (text_checks_plain_path).
struct trust_env {
    const char *output;
    bool java_uses_jks;
};

// A name of one variable and what is to be in it.
#define TRUST_ENV_VALUE_MAX 4400
size_t trust_env_num(void);
const char *trust_env_name(size_t index);
void trust_env_value(const struct trust_env *env, size_t index, char out[TRUST_ENV_VALUE_MAX]);
// What the variable becomes where it is set to `before` (not NULL) already: NULL, left alone; else
// a text of the caller (free()). Java's options are added to; everything else is left alone.
bool trust_env_merge(const struct trust_env *env, size_t index, const char *before,
                     char **out) MUST_USE;

// Plain KEY=VALUE lines of all variables.
bool trust_env_render_lines(const struct trust_env *env, struct buf *out) MUST_USE;
// For `. OUT/env.sh` in any POSIX shell: leaves variables alone that are set.
bool trust_env_render_shell(const struct trust_env *env, struct buf *out) MUST_USE;
// For PHP, a file of its own in the directory that PHP_INI_SCAN_DIR adds.
bool trust_env_render_php(const struct trust_env *env, struct buf *out) MUST_USE;

#endif
