// Which certificates a loaded configuration rests on, and until when: for the status port, the
// metrics and the warning before one expires.
#ifndef AGENT_EDGE_EDGE_INVENTORY_H
#define AGENT_EDGE_EDGE_INVENTORY_H

#include "agent/edge/edge_set.h"
#include "agent/observe/view.h"

// Adds to `certificates` of `out`: what ports present, the lists of ports and destinations, and
// what servers outside are shown. The public roots are not in it. False when memory is short.
bool edge_inventory_render(const struct edge_set *set, struct view *out) MUST_USE;

#endif
