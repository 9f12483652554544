// Short ways to fill in a response. Whoever cannot (memory) leaves a 503 without a body.
#ifndef AGENT_STATUS_ANSWER_H
#define AGENT_STATUS_ANSWER_H

#include <stdbool.h>

#include "agent/status/http_server.h"
#include "base/own.h"

// A sentence as plain text; a newline is added.
void answer_text(struct http_response *response, unsigned status, const char *format, ...)
    PRINTF_LIKE(3, 4);
// 200 with what is in the body, if `rendered`; else 503.
void answer_rendered(struct http_response *response, const char *content_type, bool rendered);

#endif
