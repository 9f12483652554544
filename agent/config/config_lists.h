// The lists and choices that the configuration is made of: plain values, owned by the
// configuration.
#ifndef AGENT_CONFIG_CONFIG_LISTS_H
#define AGENT_CONFIG_CONFIG_LISTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/netaddr.h"

struct string_list {
    char **items;
    size_t num;
};

struct port_range {
    uint16_t first;
    uint16_t last;
};

struct port_list {
    struct port_range *items;
    size_t num;
};

struct prefix_list {
    struct netaddr_prefix *items;
    size_t num;
};

struct address_list {
    struct netaddr *items;
    size_t num;
};

// Where to connect to: an address with its port, or a host name with one.
struct config_place {
    struct netaddr addr; // of a host only the port counts, and there is no family
    char *host;          // NULL: it is an address
};

enum outbound_tls {
    OUTBOUND_MESH,
    OUTBOUND_MUTUAL,
    OUTBOUND_SIMPLE,
    OUTBOUND_PASSTHROUGH,
    OUTBOUND_DENY
};

#endif
