// What the keys of `identity` mean together: each source has its own, needs some of them, and those
// of another source are mistakes.
#ifndef AGENT_CONFIG_IDENTITY_RULES_H
#define AGENT_CONFIG_IDENTITY_RULES_H

#include "agent/config/config_types.h"
#include "agent/config/report.h"
#include "agent/config/yaml_tree.h"

// Reports errors at their places in the tree. `config` has been read from `root` (NULL: an empty
// text); what is marked bad there is not looked at again.
void identity_rules_check(const struct config *config, const struct yaml_tree_node *root,
                          struct report *report);

#endif
