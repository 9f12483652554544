// The PROXY protocol, version 2 (haproxy's proxy-protocol.txt): where a connection really comes
// from, in front of its first byte. Bytes in, values out, and back; no I/O.
#ifndef AGENT_NET_PROXY_V2_H
#define AGENT_NET_PROXY_V2_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/netaddr.h"
#include "base/own.h"
#include "base/span.h"

#define PROXY_V2_FIXED 16 // bytes before the addresses
#define PROXY_V2_MAX 4096 // bytes of a header that is taken or made

// The whole length of a header from its first PROXY_V2_FIXED bytes; 0: it is none, or too long.
size_t proxy_v2_length(const uint8_t fixed[PROXY_V2_FIXED]);

struct proxy_v2_source {
    bool is_local; // LOCAL: the balancer itself, for a health check; the rest is not set
    struct netaddr source, destination;
};
// A whole header. False: malformed, or not TCP over IP.
bool proxy_v2_parse(struct span header, struct proxy_v2_source *out) MUST_USE;

// What is said of the client's TLS; text may be NULL: left out.
struct proxy_v2_tls {
    const char *version; // "TLSv1.3"
    const char *cipher;
    const char *common_name; // of a client's verified certificate; NULL: it presented none
    const char *identity;    // its SPIFFE ID, else its subject: type 0xE0 of the custom range
    const char *server_name; // SNI, as PP2_TYPE_AUTHORITY
    struct span alpn;
};
// Appends a header. `tls` may be NULL: none. False when it cannot be encoded (or memory is short):
// the connection is then to be refused, not sent without.
bool proxy_v2_render(const struct netaddr *source, const struct netaddr *destination,
                     const struct proxy_v2_tls *tls, struct buf *out) MUST_USE;

#endif
