// IP addresses with ports, and network prefixes, as plain values. IPv4-mapped IPv6 addresses are
// turned into IPv4 on the way in, so that no table or policy ever sees two forms of one address.
#ifndef BASE_NETADDR_H
#define BASE_NETADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/span.h"

enum netaddr_family { NETADDR_NONE = 0, NETADDR_V4 = 4, NETADDR_V6 = 6 };

struct netaddr {
    uint8_t family; // enum netaddr_family
    uint8_t ip[16]; // network order; IPv4 in the first four bytes, the rest zero
    uint16_t port;  // host order; 0 where there is none
    uint32_t scope; // IPv6 scope id of link-local addresses, else 0
};

struct netaddr_prefix {
    struct netaddr base; // host bits cleared, port 0
    uint8_t bits;
};

#define NETADDR_TEXT_MAX 64

// "1.2.3.4:80", "[::1]:80". The port is mandatory and 1-65535.
bool netaddr_parse(struct netaddr *out, struct span text, struct err *err) MUST_USE;
// "1.2.3.4", "::1": no port, no brackets.
bool netaddr_parse_ip(struct netaddr *out, struct span text, struct err *err) MUST_USE;
// "10.0.0.0/8", "fc00::/7", or a plain address (/32, /128). Host bits must be zero.
bool netaddr_prefix_parse(struct netaddr_prefix *out, struct span text, struct err *err) MUST_USE;

// With the port: "1.2.3.4:80", "[::1]:80"; NETADDR_NONE gives "-".
const char *netaddr_format(const struct netaddr *addr, char out[NETADDR_TEXT_MAX]);
const char *netaddr_format_ip(const struct netaddr *addr, char out[NETADDR_TEXT_MAX]);
const char *netaddr_prefix_format(const struct netaddr_prefix *prefix, char out[NETADDR_TEXT_MAX]);

// False when the family is neither AF_INET nor AF_INET6.
bool netaddr_from_sockaddr(struct netaddr *out, const struct sockaddr_storage *sa);
socklen_t netaddr_to_sockaddr(const struct netaddr *addr, struct sockaddr_storage *out);

bool netaddr_equal(const struct netaddr *a, const struct netaddr *b);    // address and port
bool netaddr_ip_equal(const struct netaddr *a, const struct netaddr *b); // address only
bool netaddr_is_loopback(const struct netaddr *addr);                    // 127.0.0.0/8, ::1
bool netaddr_is_any(const struct netaddr *addr);                         // 0.0.0.0, ::
bool netaddr_prefix_contains(const struct netaddr_prefix *prefix, const struct netaddr *addr);
// FNV-1a over the address, and over the port when `with_port`.
uint64_t netaddr_hash(const struct netaddr *addr, bool with_port);
struct netaddr netaddr_with_port(const struct netaddr *addr, uint16_t port);

#endif
