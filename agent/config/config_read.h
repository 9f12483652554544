// From the YAML tree to the values, driven by the table of options: unknown keys, types, ranges and
// defaults. What values mean together is config_rules.h's business.
#ifndef AGENT_CONFIG_CONFIG_READ_H
#define AGENT_CONFIG_CONFIG_READ_H

#include <stdbool.h>

#include "agent/config/options.h"
#include "agent/config/report.h"
#include "agent/config/yaml_tree.h"
#include "base/own.h"

// Reads a mapping (NULL: an empty one) into `object`, which is zeroed; mistakes go to `report`.
// Whatever the result, the fields are owned by the object and options_fini destroys them. Every
// node with a mistake in or below it is marked bad.
bool config_read_section(const struct option_section *section, struct yaml_tree_node *node,
                         void *object, struct report *report) MUST_USE;

#endif
