// Staying after the rules are in: a process that does nothing but hold the network (and the process
// namespace) of an application and its sidecar, as the pause container of a pod does, so that
// either of them can be restarted and the rules stay. It gives up every capability and the means to
// get one, and waits for its children, as process 1 of a container has to.
#ifndef AGENT_COMMAND_HOLD_H
#define AGENT_COMMAND_HOLD_H

#include <stdbool.h>

#include "base/err.h"
#include "base/own.h"

// Returns at SIGTERM or SIGINT. False when it cannot wait, or something is left to give up.
bool hold_until_told(struct err *err) MUST_USE;

#endif
