// The subject of a certificate: as text for people, and compared with what a configuration asks
// for. Values are compared as decoded UTF-8 with their length, entry by entry: the library's own
// comparison folds case and spaces, and its look-up by type sees the first entry only. Pure.
#ifndef CERTMGR_SUBJECT_H
#define CERTMGR_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/base.h>

#include "certmgr/subject_rule.h"

#define SUBJECT_TEXT_MAX 512

// RFC 2253: last RDN first, escaped. Cut when longer; "" when it cannot be rendered.
void subject_format(const X509 *cert, char *out, size_t cap);

// The CN as UTF-8. "" when there is none, or several, or one that does not fit or holds a NUL.
void subject_common_name(const X509 *cert, char *out, size_t cap);

// CN, O, L, ST and C equal or absent on both sides, one value each; the sets of OUs equal. Other
// types are not looked at. Several CNs never match.
bool subject_matches(const X509 *cert, const struct subject_rule *rule);

// The CN or a DNS SAN is `name`: literally, with case, without wildcards.
bool subject_has_name(const X509 *cert, const char *name);

#endif
