// Contradictions in what inbound.ports[] says about HTTP.
#ifndef AGENT_CONFIG_EDGE_HTTP_RULES_H
#define AGENT_CONFIG_EDGE_HTTP_RULES_H

#include "agent/config/config_types.h"
#include "agent/config/report.h"
#include "agent/config/yaml_tree.h"

void edge_http_rules_check(const struct inbound_port *port, const struct yaml_tree_node *item,
                           struct report *report);

#endif
