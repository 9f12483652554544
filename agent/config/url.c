#include "agent/config/url.h"

#include <stddef.h>
#include <string.h>

#include "agent/config/text_checks.h"
#include "base/netaddr.h"

#define PORT_DIGITS_MAX 5
#define PORT_MAX 65535

static const struct {
    const char *lead;
    enum url_scheme scheme;
    uint16_t port;
} schemes[] = {{"https://", URL_HTTPS, 443}, {"http://", URL_HTTP, 80}, {"file://", URL_FILE, 0}};

static bool take_scheme(struct span *rest, struct url *out, struct err *err) {
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i].lead);
        if (rest->len >= len && memcmp(rest->ptr, schemes[i].lead, len) == 0) {
            out->scheme = schemes[i].scheme;
            out->port = schemes[i].port;
            *rest = span_after(*rest, len);
            return true;
        }
    }
    return ERR_SET(err, ERR_INPUT, "it does not begin with https://, http:// or file://");
}

static bool check_characters(struct span text, struct err *err) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f) {
            return ERR_SET(err, ERR_INPUT, "it has a blank or a character beyond ASCII in it");
        }
    }
    if (text.len > 0 && memchr(text.ptr, '#', text.len) != NULL) {
        return ERR_SET(err, ERR_INPUT, "it has a fragment (#), which means nothing here");
    }
    return text.len <= URL_TEXT_MAX ||
           ERR_SET(err, ERR_INPUT, "it is longer than %d bytes", URL_TEXT_MAX);
}

static bool take_port(struct span digits, struct url *out) {
    unsigned port = 0;
    if (digits.len == 0 || digits.len > PORT_DIGITS_MAX) {
        return false;
    }
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9') {
            return false;
        }
        port = port * 10 + (digits.ptr[i] - (unsigned)'0');
    }
    out->port = (uint16_t)port;
    return port >= 1 && port <= PORT_MAX;
}

// "host", "host:port", "[::1]", "[::1]:port". User names are none: a password does not belong in a
// configuration that the status port shows.
static bool take_authority(struct span text, struct url *out, struct err *err) {
    bool has_bracket = text.len > 0 && text.ptr[0] == '[';
    const uint8_t *end = text.len == 0 ? NULL : memchr(text.ptr, has_bracket ? ']' : ':', text.len);
    struct span host = text;
    struct span port = span_of(NULL, 0);
    if (has_bracket) {
        host = end == NULL ? span_of(NULL, 0) : span_of(text.ptr + 1, (size_t)(end - text.ptr) - 1);
        port = end == NULL ? port : span_after(text, (size_t)(end - text.ptr) + 1);
    } else if (end != NULL) {
        host = span_of(text.ptr, (size_t)(end - text.ptr));
        port = span_after(text, host.len);
    }
    if (host.len >= URL_HOST_MAX || !text_checks_host(host, NULL)) {
        return ERR_SET(err, ERR_INPUT, "its host is neither a DNS name nor an IP address");
    }
    if (port.len > 0 && (port.ptr[0] != ':' || !take_port(span_after(port, 1), out))) {
        return ERR_SET(err, ERR_INPUT, "its port is not a number from 1 to 65535");
    }
    memcpy(out->host, host.ptr, host.len);
    out->host[host.len] = '\0';
    out->is_ip6 = has_bracket;
    return true;
}

static bool is_this_host(const char *host) {
    struct netaddr addr;
    return strcmp(host, "localhost") == 0 ||
           (netaddr_parse_ip(&addr, span_of_text(host), NULL) && netaddr_is_loopback(&addr));
}

static bool parse(struct span text, struct url *out, struct err *err) {
    struct url url = {0};
    struct span rest = text;
    if (!check_characters(text, err) || !take_scheme(&rest, &url, err)) {
        return false;
    }
    const uint8_t *slash = rest.len == 0 ? NULL : memchr(rest.ptr, '/', rest.len);
    struct span authority = rest;
    struct span target = span_of_text("/");
    if (slash != NULL) {
        authority = span_of(rest.ptr, (size_t)(slash - rest.ptr));
        target = span_after(rest, authority.len);
    }
    if (url.scheme == URL_FILE && (authority.len > 0 || slash == NULL)) {
        return ERR_SET(err, ERR_INPUT, "a file's URL is file:///PATH");
    }
    if (url.scheme != URL_FILE && !take_authority(authority, &url, err)) {
        return false;
    }
    memcpy(url.target, target.ptr, target.len);
    *out = url;
    return true;
}

bool url_parse(struct span text, struct url *out, struct err *err) {
    struct url url = {0};
    if (!parse(text, &url, err)) {
        return false;
    }
    if (url.scheme == URL_HTTP && !is_this_host(url.host)) {
        return ERR_SET(err, ERR_INPUT,
                       "plain http:// is for a loopback address only: whoever is on the way could "
                       "choose whom the application trusts; use https://");
    }
    *out = url;
    return true;
}

bool url_parse_responder(struct span text, struct url *out, struct err *err) {
    struct url url = {0};
    if (!parse(text, &url, err)) {
        return false;
    }
    if (url.scheme != URL_HTTP) {
        return ERR_SET(err, ERR_INPUT,
                       "a responder is asked by http:// only: what it answers is signed");
    }
    *out = url;
    return true;
}

bool url_check_responder(struct span text, struct err *err) {
    struct url url = {0};
    return url_parse_responder(text, &url, err);
}

bool url_check(struct span text, struct err *err) {
    struct url url = {0};
    return url_parse(text, &url, err);
}
