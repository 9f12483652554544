// The URLs that certificates are fetched from, taken apart: https, file, and http to this host
// only, since whoever is on the way of plain HTTP could choose whom the application trusts. And
// those of OCSP responders, whose answers are signed: http only, to any host. Pure.
#ifndef AGENT_CONFIG_URL_H
#define AGENT_CONFIG_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

#define URL_TEXT_MAX 2000
#define URL_HOST_MAX 256

enum url_scheme { URL_HTTPS, URL_HTTP, URL_FILE };

struct url {
    enum url_scheme scheme;
    char host[URL_HOST_MAX]; // without brackets; "" for a file
    bool is_ip6;
    uint16_t port;
    char target[URL_TEXT_MAX + 2]; // path and query, or the file's path
};

bool url_parse(struct span text, struct url *out, struct err *err) MUST_USE;
bool url_check(struct span text, struct err *err) MUST_USE;
bool url_parse_responder(struct span text, struct url *out, struct err *err) MUST_USE;
bool url_check_responder(struct span text, struct err *err) MUST_USE;

#endif
