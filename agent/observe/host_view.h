// A host name of the configuration, and what DNS says of it, for the status port.
#ifndef AGENT_OBSERVE_HOST_VIEW_H
#define AGENT_OBSERVE_HOST_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "base/netaddr.h"

#define HOST_VIEW_ADDRESSES_MAX 16

struct host_view {
    char name[256];
    const char *state;                                 // "pending", "resolved", "absent", "stale"
    struct netaddr addresses[HOST_VIEW_ADDRESSES_MAX]; // port 0; more are left out
    size_t num_addresses;
    int64_t until_ms; // wall clock: when it is asked for again; 0: now
    char last_error[128];
};

#endif
