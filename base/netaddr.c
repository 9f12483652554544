#include "base/netaddr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define V4_LEN 4
#define V6_LEN 16
#define QUOTE_MAX 64

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static size_t ip_len(const struct netaddr *addr) {
    switch (addr->family) {
    case NETADDR_V4:
        return V4_LEN;
    case NETADDR_V6:
        return V6_LEN;
    default:
        return 0;
    }
}

static bool is_link_local(const uint8_t ip[V6_LEN]) {
    return ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80;
}

// IPv4-mapped addresses become IPv4 here and nowhere else.
static struct netaddr from_v6(const uint8_t ip[V6_LEN], uint32_t scope) {
    struct netaddr addr = {0};
    if (memcmp(ip, mapped_prefix, sizeof mapped_prefix) == 0) {
        addr.family = NETADDR_V4;
        memcpy(addr.ip, ip + sizeof mapped_prefix, V4_LEN);
        return addr;
    }
    addr.family = NETADDR_V6;
    memcpy(addr.ip, ip, V6_LEN);
    addr.scope = is_link_local(ip) ? scope : 0;
    return addr;
}

static struct netaddr from_v4(const void *ip) {
    struct netaddr addr = {.family = NETADDR_V4};
    memcpy(addr.ip, ip, V4_LEN);
    return addr;
}

// The text as it may stand in a sentence: cut, and without anything unprintable.
static const char *quotable(struct span text, char out[QUOTE_MAX]) {
    size_t len = text.len < QUOTE_MAX - 1 ? text.len : QUOTE_MAX - 1;
    for (size_t i = 0; i < len; i++) {
        out[i] = text.ptr[i] >= 0x20 && text.ptr[i] < 0x7f ? (char)text.ptr[i] : '?';
    }
    out[len] = '\0';
    return out;
}

static bool refuse(struct err *err, struct span text, const char *why) {
    char shown[QUOTE_MAX];
    return ERR_SET(err, ERR_INPUT, "\"%s\" %s", quotable(text, shown), why);
}

// A decimal number without sign, spaces or leading zeros.
static bool parse_number(struct span text, uint32_t max, uint32_t *out) {
    if (text.len == 0 || text.len > 10 || (text.len > 1 && text.ptr[0] == '0')) {
        return false;
    }
    uint64_t number = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
        number = number * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    if (number > max) {
        return false;
    }
    *out = (uint32_t)number;
    return true;
}

static struct span before(struct span text, const uint8_t *at) {
    return span_of(text.ptr, (size_t)(at - text.ptr));
}

static struct span behind(struct span text, const uint8_t *at) {
    return span_after(text, (size_t)(at - text.ptr) + 1);
}

static const uint8_t *find(struct span text, char wanted) {
    return text.len == 0 ? NULL : memchr(text.ptr, wanted, text.len);
}

static bool parse_v6(struct netaddr *out, const char *text, const char *zone) {
    uint8_t ip[V6_LEN];
    uint32_t scope = 0;
    if (inet_pton(AF_INET6, text, ip) != 1) {
        return false;
    }
    // Numeric zones only, and where they mean something: a name would need the system's answer.
    if (zone != NULL &&
        (!is_link_local(ip) || !parse_number(span_of_text(zone), UINT32_MAX, &scope))) {
        return false;
    }
    *out = from_v6(ip, scope);
    return true;
}

static bool parse_ip(struct netaddr *out, struct span text) {
    char copy[NETADDR_TEXT_MAX];
    if (text.len == 0 || text.len >= sizeof copy || find(text, '\0') != NULL) {
        return false;
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (find(text, ':') == NULL) {
        uint8_t ip[V4_LEN];
        if (inet_pton(AF_INET, copy, ip) != 1) {
            return false;
        }
        *out = from_v4(ip);
        return true;
    }
    char *percent = strchr(copy, '%');
    if (percent != NULL) {
        *percent = '\0';
    }
    return parse_v6(out, copy, percent == NULL ? NULL : percent + 1);
}

bool netaddr_parse_ip(struct netaddr *out, struct span text, struct err *err) {
    return parse_ip(out, text) || refuse(err, text, "is not an IP address");
}

// Cuts "1.2.3.4:80" or "[::1]:80" in two. The brackets decide the family.
static bool split_port(struct span text, struct span *ip, struct span *port) {
    if (text.len > 0 && text.ptr[0] == '[') {
        const uint8_t *end = find(text, ']');
        if (end == NULL) {
            return false;
        }
        *ip = span_after(before(text, end), 1);
        *port = behind(text, end);
        if (find(*ip, ':') == NULL || port->len == 0 || port->ptr[0] != ':') {
            return false;
        }
        *port = span_after(*port, 1);
        return true;
    }
    const uint8_t *colon = find(text, ':');
    if (colon == NULL) {
        return false;
    }
    *ip = before(text, colon);
    *port = behind(text, colon);
    return find(*port, ':') == NULL;
}

bool netaddr_parse(struct netaddr *out, struct span text, struct err *err) {
    struct span ip, port_text;
    struct netaddr addr;
    uint32_t port;
    if (!split_port(text, &ip, &port_text)) {
        return refuse(err, text, "is not an address with a port, like 1.2.3.4:80 or [::1]:80");
    }
    if (!parse_ip(&addr, ip)) {
        return refuse(err, text, "does not begin with an IP address");
    }
    if (!parse_number(port_text, 65535, &port) || port == 0) {
        return refuse(err, text, "does not end with a port from 1 to 65535");
    }
    *out = netaddr_with_port(&addr, (uint16_t)port);
    return true;
}

static bool host_bits_are_zero(const struct netaddr *addr, unsigned bits) {
    size_t len = ip_len(addr);
    for (unsigned bit = bits; bit < 8 * len; bit++) {
        if (addr->ip[bit / 8] & (0x80u >> bit % 8)) {
            return false;
        }
    }
    return true;
}

bool netaddr_prefix_parse(struct netaddr_prefix *out, struct span text, struct err *err) {
    const uint8_t *slash = find(text, '/');
    struct span ip = slash == NULL ? text : before(text, slash);
    struct netaddr base;
    if (!parse_ip(&base, ip) || base.scope != 0) {
        return refuse(err, text, "is not a network like 10.0.0.0/8 or fc00::/7");
    }
    uint32_t max = (uint32_t)(8 * ip_len(&base));
    // A network of IPv4-mapped addresses counts its bits from the front of the IPv6 form.
    uint32_t mapped = base.family == NETADDR_V4 && find(ip, ':') != NULL ? 96 : 0;
    uint32_t bits = max + mapped;
    if (slash != NULL && !parse_number(behind(text, slash), max + mapped, &bits)) {
        return refuse(err, text, "has a prefix length that does not fit the address");
    }
    if (bits < mapped || !host_bits_are_zero(&base, bits - mapped)) {
        return refuse(err, text, "has bits set behind its prefix length");
    }
    *out = (struct netaddr_prefix){.base = base, .bits = (uint8_t)(bits - mapped)};
    return true;
}

// Without snprintf: this runs several times for every connection.
static char *put_decimal(char *out, unsigned value) {
    char digits[10];
    size_t num = 0;
    do {
        digits[num++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (num > 0) {
        *out++ = digits[--num];
    }
    *out = '\0';
    return out;
}

static void put_v4(char *out, const uint8_t *ip) {
    for (size_t i = 0; i < V4_LEN; i++) {
        out = put_decimal(out, ip[i]);
        *out++ = i + 1 < V4_LEN ? '.' : '\0';
    }
}

const char *netaddr_format_ip(const struct netaddr *addr, char out[NETADDR_TEXT_MAX]) {
    if (addr->family == NETADDR_V4) {
        put_v4(out, addr->ip);
    } else if (addr->family == NETADDR_V6) {
        inet_ntop(AF_INET6, addr->ip, out, NETADDR_TEXT_MAX);
        size_t len = strlen(out);
        if (addr->scope != 0) {
            snprintf(out + len, NETADDR_TEXT_MAX - len, "%%%u", addr->scope);
        }
    } else {
        snprintf(out, NETADDR_TEXT_MAX, "-");
    }
    return out;
}

const char *netaddr_format(const struct netaddr *addr, char out[NETADDR_TEXT_MAX]) {
    if (ip_len(addr) == 0) {
        return netaddr_format_ip(addr, out);
    }
    bool v6 = addr->family == NETADDR_V6;
    char *end = out;
    if (v6) {
        *end++ = '[';
    }
    char ip[NETADDR_TEXT_MAX];
    netaddr_format_ip(addr, ip);
    size_t len = strlen(ip);
    memcpy(end, ip, len);
    end += len;
    if (v6) {
        *end++ = ']';
    }
    *end++ = ':';
    put_decimal(end, addr->port);
    return out;
}

const char *netaddr_prefix_format(const struct netaddr_prefix *prefix, char out[NETADDR_TEXT_MAX]) {
    netaddr_format_ip(&prefix->base, out);
    if (ip_len(&prefix->base) != 0) {
        size_t len = strlen(out);
        snprintf(out + len, NETADDR_TEXT_MAX - len, "/%u", prefix->bits);
    }
    return out;
}

bool netaddr_from_sockaddr(struct netaddr *out, const struct sockaddr_storage *sa) {
    if (sa->ss_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, sa, sizeof v4);
        *out = from_v4(&v4.sin_addr);
        out->port = ntohs(v4.sin_port);
        return true;
    }
    if (sa->ss_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, sa, sizeof v6);
        *out = from_v6(v6.sin6_addr.s6_addr, v6.sin6_scope_id);
        out->port = ntohs(v6.sin6_port);
        return true;
    }
    return false;
}

socklen_t netaddr_to_sockaddr(const struct netaddr *addr, struct sockaddr_storage *out) {
    memset(out, 0, sizeof *out);
    if (addr->family == NETADDR_V4) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(addr->port)};
        memcpy(&v4.sin_addr, addr->ip, V4_LEN);
        memcpy(out, &v4, sizeof v4);
        return sizeof v4;
    }
    if (addr->family == NETADDR_V6) {
        struct sockaddr_in6 v6 = {
            .sin6_family = AF_INET6, .sin6_port = htons(addr->port), .sin6_scope_id = addr->scope};
        memcpy(&v6.sin6_addr, addr->ip, V6_LEN);
        memcpy(out, &v6, sizeof v6);
        return sizeof v6;
    }
    return 0;
}

bool netaddr_equal(const struct netaddr *a, const struct netaddr *b) {
    return a->port == b->port && netaddr_ip_equal(a, b);
}

bool netaddr_ip_equal(const struct netaddr *a, const struct netaddr *b) {
    return a->family == b->family && a->scope == b->scope && memcmp(a->ip, b->ip, ip_len(a)) == 0;
}

bool netaddr_is_loopback(const struct netaddr *addr) {
    static const uint8_t v6[V6_LEN] = {[15] = 1};
    return (addr->family == NETADDR_V4 && addr->ip[0] == 127) ||
           (addr->family == NETADDR_V6 && memcmp(addr->ip, v6, V6_LEN) == 0);
}

bool netaddr_is_any(const struct netaddr *addr) {
    static const uint8_t zero[V6_LEN] = {0};
    return ip_len(addr) != 0 && memcmp(addr->ip, zero, ip_len(addr)) == 0;
}

bool netaddr_prefix_contains(const struct netaddr_prefix *prefix, const struct netaddr *addr) {
    if (ip_len(addr) == 0 || prefix->base.family != addr->family) {
        return false;
    }
    size_t whole = prefix->bits / 8;
    if (memcmp(prefix->base.ip, addr->ip, whole) != 0) {
        return false;
    }
    unsigned rest = prefix->bits % 8;
    unsigned mask = 0xff00u >> rest & 0xffu;
    return rest == 0 || ((prefix->base.ip[whole] ^ addr->ip[whole]) & mask) == 0;
}

static uint64_t fnv1a(uint64_t hash, const void *bytes, size_t len) {
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ at[i]) * 0x100000001b3u;
    }
    return hash;
}

uint64_t netaddr_hash(const struct netaddr *addr, bool with_port) {
    uint64_t hash = fnv1a(0xcbf29ce484222325u, &addr->family, sizeof addr->family);
    hash = fnv1a(hash, addr->ip, ip_len(addr));
    hash = fnv1a(hash, &addr->scope, sizeof addr->scope);
    return with_port ? fnv1a(hash, &addr->port, sizeof addr->port) : hash;
}

struct netaddr netaddr_with_port(const struct netaddr *addr, uint16_t port) {
    struct netaddr result = *addr;
    result.port = port;
    return result;
}
