// Who a caller is: the entries file maps uids to SPIFFE IDs, the first match wins.
//   - {uid: 1001, spiffeId: "spiffe://example.org/ns/default/sa/web"}
// Immutable once parsed; one owner.
#ifndef AUTHORITY_ENTRIES_H
#define AUTHORITY_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define ENTRIES_FILE_MAX ((size_t)4 * 1024 * 1024)
#define ENTRIES_MAX 65536

struct entries;

// Parses the text of a file. Every ID is of `trust_domain` and has a path. An error is one
// sentence, `name:line:col: ...`. An empty file is an error; `[]` refuses every caller.
struct entries *entries_parse(const char *name, struct span text, const char *trust_domain,
                              struct err *err) MUST_USE;
// The same for a file.
struct entries *entries_load(const char *path, const char *trust_domain, struct err *err) MUST_USE;
void entries_free(struct entries *entries);
OWN_DEFINE(struct entries, entries_free)

// The SPIFFE ID of `uid`, borrowed; NULL when no entry matches.
const char *entries_find(const struct entries *entries, uint32_t uid);
size_t entries_num(const struct entries *entries);

#endif
