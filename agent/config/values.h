// One scalar of the YAML tree as a typed value of the configuration. Pure.
#ifndef AGENT_CONFIG_VALUES_H
#define AGENT_CONFIG_VALUES_H

#include <stdbool.h>

#include "agent/config/options.h"
#include "agent/config/report.h"
#include "agent/config/yaml_tree.h"
#include "base/own.h"

// Reads `node`, a scalar, into `field`, which has the row's type (OPTION_SECTION and OPTION_NOT_YET
// are not for this). A mistake goes to `report`; `field` is untouched then.
bool values_read(const struct option_row *row, const struct yaml_tree_node *node, void *field,
                 struct report *report) MUST_USE;

// A number of `size` bytes, as enum, bool and unsigned fields hold it.
uint64_t values_number(const void *field, size_t size);

#endif
