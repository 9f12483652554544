#include "agent/status/guard.h"

#include <string.h>
#include <strings.h>

static bool is_port(const char *text) {
    size_t len = strspn(text, "0123456789");
    return len >= 1 && len <= 5 && text[len] == '\0';
}

// "localhost", a loopback address, each with or without a port: a name that an attacker's DNS
// cannot point at us.
static bool is_loopback_host(const char *host) {
    size_t len = strcspn(host, ":");
    const char *rest = host + len;
    struct span name = span_of(host, len);
    if (host[0] == '[') {
        const char *end = strchr(host, ']');
        if (end == NULL) {
            return false;
        }
        name = span_of(host + 1, (size_t)(end - host - 1));
        rest = end + 1;
    }
    if (rest[0] != '\0' && (rest[0] != ':' || !is_port(rest + 1))) {
        return false;
    }
    if (host[0] != '[' && len == 9 && strncasecmp(host, "localhost", 9) == 0) {
        return true;
    }
    struct netaddr address;
    return netaddr_parse_ip(&address, name, NULL) && netaddr_is_loopback(&address);
}

struct guard_verdict guard_decide(const struct http_request *request, bool changes) {
    const struct http_head *head = &request->head;
    if (!is_loopback_host(head->host)) {
        return (struct guard_verdict){421,
                                      "the Host header must name localhost or a loopback address"};
    }
    if (head->has_origin) {
        return (struct guard_verdict){403, "requests with an Origin are refused: a web page may "
                                           "not use this port"};
    }
    if (head->has_fetch_site && strcmp(head->fetch_site, "none") != 0 &&
        strcmp(head->fetch_site, "same-origin") != 0) {
        return (struct guard_verdict){403, "requests from another site are refused: type the "
                                           "address into the browser"};
    }
    if (changes && !netaddr_is_loopback(&request->peer)) {
        return (struct guard_verdict){403, "only this host may change anything"};
    }
    return (struct guard_verdict){0, ""};
}
