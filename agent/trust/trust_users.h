// Who uses the trust store: processes whose environment names its directory, as far as /proc lets
// us see (the same host or a shared process namespace, and the right to read). A runtime mostly
// reads its store once, when it starts, so one that is older than the store needs a restart.
#ifndef AGENT_TRUST_TRUST_USERS_H
#define AGENT_TRUST_TRUST_USERS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/observe/trust_view.h"
#include "base/own.h"

#define TRUST_USERS_MAX 1000 // that are listed

// Fills the processes of `view`, whose output and written_ms are set. `proc` is "/proc".
bool trust_users_find(const char *proc, struct trust_view *view) MUST_USE;

#endif
