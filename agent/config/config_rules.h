// What the values of a configuration mean together: listeners that clash, ports that would loop,
// keys that contradict each other.
#ifndef AGENT_CONFIG_CONFIG_RULES_H
#define AGENT_CONFIG_CONFIG_RULES_H

#include "agent/config/config_types.h"
#include "agent/config/report.h"
#include "agent/config/yaml_tree.h"

// Reports errors and warnings at their places in the tree. `config` has been read from `root`
// (NULL: an empty text); what is marked bad there is not looked at again.
void config_rules_check(const struct config *config, const struct yaml_tree_node *root,
                        struct report *report);

#endif
