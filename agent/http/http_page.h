// The answers that we give ourselves: a small page per status, and its head.
#ifndef AGENT_HTTP_HTTP_PAGE_H
#define AGENT_HTTP_HTTP_PAGE_H

#include "agent/http/http_fields.h"

#define HTTP_PAGE_MAX 256

struct http_page {
    char body[HTTP_PAGE_MAX];
    size_t len;
};

// Text/html with CR LF line ends, as the gateways do whose clients we inherit: 154 bytes for 400.
void http_page_render(struct http_page *page, int status);
// :status, :reason, Content-Type, Content-Length and, unless it is empty, Location.
bool http_page_head(struct http_fields *out, int status, const struct http_page *page,
                    struct span location) MUST_USE;

#endif
