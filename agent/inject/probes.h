// The application's probes: their handlers become requests to the agent's health port, and what
// they asked goes into the agent's configuration (status.probes). In strict mode the kubelet could
// not reach the application's ports, and with redirection every TCP probe would succeed.
#ifndef AGENT_INJECT_PROBES_H
#define AGENT_INJECT_PROBES_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/inject/change.h"
#include "agent/inject/manifest.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"

// Adds the changes for one container to `list` and a row for each handler to `rows`, separated by
// commas. Handlers that run a program, or name a host, stay. `num` counts what was rewritten.
bool probes_rewrite(struct change_list *list, struct manifest_node *container, struct buf *rows,
                    size_t *num, struct err *err) MUST_USE;

#endif
