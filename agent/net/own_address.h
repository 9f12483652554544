// Which addresses are this host's own (of its network namespace). Asked of the kernel at most once
// a second, so an address added later is known soon. One instance per worker; not thread-safe.
#ifndef AGENT_NET_OWN_ADDRESS_H
#define AGENT_NET_OWN_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/netaddr.h"

struct own_addresses;

struct own_addresses *own_addresses_new(void) MUST_USE;
void own_addresses_free(struct own_addresses *own);
OWN_DEFINE(struct own_addresses, own_addresses_free)

// 127.0.0.0/8 and ::1 always are. An address that is not in the list makes it be read again, at
// most once a second of `now_ms` (monotonic). When the list cannot be read: false (fail closed).
bool own_addresses_contains(struct own_addresses *own, const struct netaddr *addr, int64_t now_ms);

#endif
