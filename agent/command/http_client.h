// One blocking GET over HTTP/1.1 with a deadline: how `pavise status` asks the status port.
#ifndef AGENT_COMMAND_HTTP_CLIENT_H
#define AGENT_COMMAND_HTTP_CLIENT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/netaddr.h"

#define HTTP_CLIENT_DEADLINE_MS 5000
#define HTTP_CLIENT_BODY_MAX (64 * 1024 * 1024)

struct http_client_reply {
    unsigned status;
    struct buf body;
};

// Asks `to` for `target` ("/identity"). The body is the caller's (buf_fini), empty on error.
// ERR_ENVIRONMENT when nobody answers in time, ERR_INPUT when the answer is not HTTP.
bool http_client_get(const struct netaddr *to, const char *target, struct http_client_reply *out,
                     struct err *err) MUST_USE;

#endif
