#include "agent/tunnel/connect_authority.h"

#include <stdio.h>

#define SHOWN_MAX 64
#define SHOWN_SIZE (4 * SHOWN_MAX + sizeof("..."))
// The longest: 45 characters of IPv6 with an IPv4 tail, brackets, colon, port.
#define AUTHORITY_MAX (45 + 2 + 1 + 5)

static const char *escape(struct span text, char out[SHOWN_SIZE]) {
    size_t at = 0;
    size_t len = text.len < SHOWN_MAX ? text.len : SHOWN_MAX;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = text.ptr[i];
        bool plain = c > 0x20 && c < 0x7f && c != '"' && c != '\\';
        at += (size_t)snprintf(out + at, SHOWN_SIZE - at, plain ? "%c" : "\\x%02x", c);
    }
    snprintf(out + at, SHOWN_SIZE - at, "%s", text.len > len ? "..." : "");
    return out;
}

static bool refuse(struct err *err, struct span authority, const char *why) {
    char shown[SHOWN_SIZE];
    return ERR_SET(err, ERR_INPUT, "the authority \"%s\" of a CONNECT request %s",
                   escape(authority, shown), why);
}

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

static bool is_hex(uint8_t c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool has_only(struct span text, bool (*is_class)(uint8_t c), char other) {
    for (size_t i = 0; i < text.len; i++) {
        bool fits = is_class(text.ptr[i]) || text.ptr[i] == '.' || text.ptr[i] == (uint8_t)other;
        if (!fits) {
            return false;
        }
    }
    return text.len > 0;
}

static bool is_port(struct span text) {
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.ptr[i])) {
            return false;
        }
    }
    return text.len >= 1 && text.len <= 5 && text.ptr[0] != '0';
}

// The host part as it stands between brackets or before the colon.
static bool is_address(struct span host) {
    if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']') {
        return has_only(span_of(host.ptr + 1, host.len - 2), is_hex, ':');
    }
    return has_only(host, is_digit, '.');
}

bool connect_authority_parse(struct netaddr *out, struct span authority, struct err *err) {
    if (authority.len == 0) {
        return refuse(err, authority, "is empty");
    }
    size_t colon = authority.len;
    while (colon > 0 && authority.ptr[colon - 1] != ':') {
        colon--;
    }
    struct span port = span_after(authority, colon);
    if (colon == 0 || !is_port(port)) {
        return refuse(err, authority, "has no valid port");
    }
    if (!is_address(span_of(authority.ptr, colon - 1))) {
        return refuse(err, authority, "is not an IP address with a port; names are not resolved");
    }
    struct netaddr addr;
    if (authority.len > AUTHORITY_MAX || !netaddr_parse(&addr, authority, NULL)) {
        return refuse(err, authority, "is not a valid IP address with a port");
    }
    *out = addr;
    return true;
}
