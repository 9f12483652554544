// SPIFFE IDs and the patterns that policies match them with (SPIFFE-ID, 2.1-2.3).
// Length-counted throughout: a NUL inside is an error, never an end.
#ifndef CERTMGR_SPIFFE_ID_H
#define CERTMGR_SPIFFE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define SPIFFE_ID_MAX 2048          // bytes of a whole ID
#define SPIFFE_TRUST_DOMAIN_MAX 255 // bytes of its trust domain

// A parsed ID: a value, copied freely. The text is NUL-terminated and printable by construction.
struct spiffe_id {
    uint16_t len;              // of text
    uint16_t trust_domain_len; // the trust domain starts at text + 9
    char text[SPIFFE_ID_MAX + 1];
};

// Strict: lower-case scheme and trust domain of [a-z0-9._-], path segments of [A-Za-z0-9._-], none
// empty, "." or "..", no trailing slash, no port, user info, query, fragment or percent sign.
// A trust domain alone (empty path) parses. The sentence says what is wrong and where.
bool spiffe_id_parse(struct spiffe_id *out, struct span text, struct err *err) MUST_USE;

// The name of a trust domain alone: 1-255 bytes of [a-z0-9._-].
bool spiffe_trust_domain_is_valid(struct span name);

struct span spiffe_id_trust_domain(const struct spiffe_id *id);
// With its leading slash; empty for the ID of a trust domain itself.
struct span spiffe_id_path(const struct spiffe_id *id);
struct span spiffe_id_text(const struct spiffe_id *id);
bool spiffe_id_equal(const struct spiffe_id *a, const struct spiffe_id *b);

// Patterns: a SPIFFE ID in which a path segment `*` stands for exactly one segment and a final
// `**` for one or more. Nothing else is special, and the trust domain is literal.
bool spiffe_pattern_check(struct span pattern, struct err *err) MUST_USE;
// `pattern` has passed spiffe_pattern_check.
bool spiffe_pattern_matches(struct span pattern, const struct spiffe_id *id);

#endif
