// Parameters of a query string.
#ifndef AGENT_STATUS_QUERY_H
#define AGENT_STATUS_QUERY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

// The decoded value of the first parameter `name` in "a=1&b=2", cut nowhere: false when it is
// absent, longer than `max` - 1 bytes, badly encoded or has control characters. "b" is "b=".
bool query_get(struct span query, const char *name, char *out, size_t max);
bool query_has(struct span query, const char *name);

#endif
