#include "agent/http/http_authority.h"

#include <string.h>

#include "agent/http/http_chars.h"

static bool is_port(struct span text) {
    uint64_t port = 0;
    return text.len == 0 || (text.len <= 5 && http_chars_decimal(text, &port) && port <= 65535);
}

static bool keep(struct http_host *host, struct span name) {
    if (name.len > 1 && name.ptr[name.len - 1] == '.') {
        name.len--;
    }
    if (name.len > HTTP_HOST_MAX || !http_chars_is_host(name)) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        host->name[i] = (char)http_chars_lower(name.ptr[i]);
    }
    host->name[name.len] = '\0';
    return true;
}

bool http_authority_parse(struct http_host *host, struct span authority) {
    host->name[0] = '\0';
    if (authority.len == 0) {
        return false;
    }
    size_t from = 0;
    if (authority.ptr[0] == '[') {
        const uint8_t *bracket = memchr(authority.ptr, ']', authority.len);
        if (bracket == NULL) {
            return false;
        }
        from = (size_t)(bracket - authority.ptr) + 1;
        if (from < authority.len && authority.ptr[from] != ':') {
            return false;
        }
    }
    struct span after = span_after(authority, from);
    const uint8_t *colon = after.len == 0 ? NULL : memchr(after.ptr, ':', after.len);
    if (colon == NULL) {
        return keep(host, authority);
    }
    size_t len = (size_t)(colon - authority.ptr);
    return is_port(span_after(authority, len + 1)) && keep(host, span_of(authority.ptr, len));
}

void http_authority_from_sni(struct http_host *host, const char *sni) {
    if (sni == NULL || !keep(host, span_of_text(sni))) {
        host->name[0] = '\0';
    }
}
