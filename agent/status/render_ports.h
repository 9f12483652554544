// /ports: what is in force at each of the application's ports, as JSON.
#ifndef AGENT_STATUS_RENDER_PORTS_H
#define AGENT_STATUS_RENDER_PORTS_H

#include <stdbool.h>

#include "agent/config/config.h"
#include "base/buf.h"

// False when memory is short.
bool render_ports_json(struct buf *out, const struct config *config) MUST_USE;

#endif
