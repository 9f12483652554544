// `skipMtlsUriRegex`: Perl-compatible patterns, searched (not anchored, case-sensitive) in the
// normalised path of a request. The only door to PCRE2. Immutable after construction.
#ifndef AGENT_HTTP_URI_PATTERNS_H
#define AGENT_HTTP_URI_PATTERNS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

#define URI_PATTERNS_MAX 64
#define URI_PATTERN_LEN_MAX 1024

struct uri_patterns;

// The sentence of an error names the pattern and the place in it.
struct uri_patterns *uri_patterns_new(const char *const *patterns, size_t num,
                                      struct err *err) MUST_USE;
void uri_patterns_free(struct uri_patterns *patterns);
OWN_DEFINE(struct uri_patterns, uri_patterns_free)

bool uri_patterns_is_empty(const struct uri_patterns *patterns);

// Whether any pattern is found in `path`. The work is bounded; a pattern that exceeds its bound, or
// that memory is short for, did not match: the exemption is not granted.
bool uri_patterns_match(const struct uri_patterns *patterns, struct span path);

#endif
