// A host name to its addresses, blocking but never longer than the caller's patience (getaddrinfo
// cannot be called back). It honours the machine's hosts file and resolver configuration. This is
// the only door to c-ares.
#ifndef CERTMGR_RESOLVE_H
#define CERTMGR_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/netaddr.h"
#include "base/own.h"
#include "certmgr/patience.h"

#define RESOLVE_MAX 8 // addresses of one name; more are left out

struct resolve_result {
    struct netaddr addr[RESOLVE_MAX]; // in the order to try them
    size_t num;                       // at least one
};

// `host` is a DNS name or an IP literal without brackets.
bool resolve_host(const char *host, uint16_t port, const struct patience *patience,
                  struct resolve_result *out, struct err *err) MUST_USE;

#endif
