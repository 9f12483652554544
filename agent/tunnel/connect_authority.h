// The :authority of a CONNECT request to the address it names. Only addresses: this agent resolves
// no names for its peers. Whether the address may be reached is not decided here.
#ifndef AGENT_TUNNEL_CONNECT_AUTHORITY_H
#define AGENT_TUNNEL_CONNECT_AUTHORITY_H

#include <stdbool.h>

#include "base/err.h"
#include "base/netaddr.h"
#include "base/own.h"
#include "base/span.h"

// "192.0.2.1:80" or "[2001:db8::1]:80" (RFC 9113 section 8.5, RFC 3986 section 3.2): port 1-65535,
// decimal without leading zeros, no user information, no zone. False: `err` has a sentence, in
// which the peer's text is escaped and cut.
bool connect_authority_parse(struct netaddr *out, struct span authority, struct err *err) MUST_USE;

#endif
