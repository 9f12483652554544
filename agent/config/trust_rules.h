// What the keys of `trustStore` mean together.
#ifndef AGENT_CONFIG_TRUST_RULES_H
#define AGENT_CONFIG_TRUST_RULES_H

#include "agent/config/config_types.h"
#include "agent/config/report.h"
#include "agent/config/yaml_tree.h"

// Reports errors and warnings at their places in the tree, like identity_rules_check.
void trust_rules_check(const struct config *config, const struct yaml_tree_node *root,
                       struct report *report);

#endif
