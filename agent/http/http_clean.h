// What must not travel from one side to the other: fields that belong to one connection (RFC 9110
// section 7.6.1), fields that look like framing without being it, and the client's own claims about
// who it is.
#ifndef AGENT_HTTP_HTTP_CLEAN_H
#define AGENT_HTTP_HTTP_CLEAN_H

#include "agent/http/http_fields.h"

enum http_clean_status {
    HTTP_CLEAN_OK,
    HTTP_CLEAN_BAD, // `*why` is a static sentence
    HTTP_CLEAN_NO_MEMORY,
};

// A request on its way to the application. Framing fields (Content-Length, Transfer-Encoding) and
// Expect have been read by the caller and are removed; "TE: trailers" is kept. `facts` (may be
// NULL) are then set.
enum http_clean_status http_clean_request(struct http_fields *request,
                                          const struct http_fields *facts,
                                          const char **why) MUST_USE;
// A response on its way to the client. Content-Length is left alone.
void http_clean_response(struct http_fields *response);
// Trailers in either direction (RFC 9110 section 6.5.1).
void http_clean_trailers(struct http_fields *trailers);

#endif
