// What the values of an item of inbound.ports mean together: TLS on the application's own ports.
#ifndef AGENT_CONFIG_EDGE_RULES_H
#define AGENT_CONFIG_EDGE_RULES_H

#include "agent/config/config_types.h"
#include "agent/config/report.h"
#include "agent/config/yaml_tree.h"

// Reports errors and warnings of `port`, which has been read from `item`, at their places.
void edge_rules_check(const struct inbound_port *port, const struct yaml_tree_node *item,
                      struct report *report);
// The same for a list of certificates; `list` may be NULL.
void edge_rules_check_refs(const struct certificate_refs *refs, const struct yaml_tree_node *list,
                           struct report *report);

#endif
