// What items of outbound.destinations and outbound.certificates say that does not go together.
#ifndef AGENT_CONFIG_OUTBOUND_RULES_H
#define AGENT_CONFIG_OUTBOUND_RULES_H

#include "agent/config/config_types.h"
#include "agent/config/report.h"
#include "agent/config/yaml_tree.h"

void outbound_rules_check(const struct config *config, const struct outbound_rule *rule,
                          const struct yaml_tree_node *item, struct report *report);
// outbound.certificates; `list` may be NULL.
void outbound_rules_check_certificates(const struct config *config,
                                       const struct yaml_tree_node *list, struct report *report);

#endif
