// One HTTP request and its answer, over TLS or not: on a connection of its own, bounded in size and
// time; redirects are not followed. Blocking, within the caller's patience.
#ifndef AGENT_TRUST_TRUST_HTTP_H
#define AGENT_TRUST_TRUST_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/config/url.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"
#include "certmgr/patience.h"

struct trust_http_ask {
    const struct url *url;    // no file
    struct span roots;        // with https: DER, one certificate after the other
    const char *content_type; // of `body`, which is sent by POST; NULL: GET
    struct span body;
    size_t answer_max; // bytes; an answer that is longer is refused
};

// Appends the content of an answer 200 to `out`.
bool trust_http(const struct trust_http_ask *ask, const struct patience *patience, struct buf *out,
                struct err *err) MUST_USE;

#endif
