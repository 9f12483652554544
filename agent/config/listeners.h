// Every address that a configuration makes the agent listen on, with its place in the text: for
// finding clashes and loops.
#ifndef AGENT_CONFIG_LISTENERS_H
#define AGENT_CONFIG_LISTENERS_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/config/config_types.h"
#include "agent/config/report.h"
#include "agent/config/yaml_tree.h"
#include "base/own.h"

struct listener {
    struct netaddr addr;
    const char *what;          // "inbound.tunnel"; static
    struct report_place place; // line 0: a default
};

struct listeners {
    struct listener *items; // owned
    size_t num;
};

// Addresses that could not be read are left out. False when memory is short.
bool listeners_collect(struct listeners *out, const struct config *config,
                       const struct yaml_tree_node *root) MUST_USE;
void listeners_fini(struct listeners *listeners);

// The first listener before `index` that cannot be open at the same time; `num` when there is none.
size_t listeners_find_clash(const struct listeners *listeners, size_t index);
// A listener that takes connections to `addr`: the same address or the unspecified one, and the
// same port. NULL when there is none.
const struct listener *listeners_find_covering(const struct listeners *listeners,
                                               const struct netaddr *addr);

#endif
