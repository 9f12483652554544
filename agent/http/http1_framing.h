// How long a body is (RFC 9112 section 6), and whether the connection lives on after it. Whatever
// can be read in two ways is refused: that is what request smuggling is made of.
#ifndef AGENT_HTTP_HTTP1_FRAMING_H
#define AGENT_HTTP_HTTP1_FRAMING_H

#include "agent/http/http1_head.h"

bool http1_framing_of_request(const struct http_fields *fields, struct http1_info *info,
                              struct http1_problem *problem) MUST_USE;
bool http1_framing_of_response(const struct http_fields *fields, bool to_head,
                               struct http1_info *info, struct http1_problem *problem) MUST_USE;

#endif
