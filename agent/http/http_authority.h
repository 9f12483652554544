// Host and :authority (RFC 9110 section 7.2), and the name in a ClientHello, as one form that can
// be compared: lower case, without port and without the trailing dot.
#ifndef AGENT_HTTP_HTTP_AUTHORITY_H
#define AGENT_HTTP_HTTP_AUTHORITY_H

#include <stdbool.h>

#include "base/span.h"

#define HTTP_HOST_MAX 255

struct http_host {
    char name[HTTP_HOST_MAX + 1];
};

// "name", "name:port", "[v6]", "[v6]:port". False when it is none of these.
bool http_authority_parse(struct http_host *host, struct span authority);
// A server name as TLS gives it; NULL and "" are no name, which is "".
void http_authority_from_sni(struct http_host *host, const char *sni);

#endif
