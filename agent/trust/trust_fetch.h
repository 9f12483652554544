// Fetches a small file by its URL: https (the server is verified by given roots and by name), http
// to this host, or file. Bounded in size and time; redirects are not followed. Blocking, within the
// caller's patience.
#ifndef AGENT_TRUST_TRUST_FETCH_H
#define AGENT_TRUST_TRUST_FETCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"
#include "certmgr/patience.h"

#define TRUST_FETCH_MAX ((size_t)4 << 20) // bytes of one answer

// `roots` is DER, one certificate after the other. Appends the content to `out`.
bool trust_fetch(const char *url, struct span roots, const struct patience *patience,
                 struct buf *out, struct err *err) MUST_USE;

#endif
