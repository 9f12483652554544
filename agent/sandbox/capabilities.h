// Gives up every capability of the calling thread, and the ways to get one back. Threads that it
// starts afterwards have none either.
#ifndef AGENT_SANDBOX_CAPABILITIES_H
#define AGENT_SANDBOX_CAPABILITIES_H

#include <stdbool.h>

// Empties the effective, permitted, inheritable and ambient set; the bounding set too, with
// securebits that make root an ordinary user, where that is permitted (CAP_SETPCAP). False with
// errno when anything is left in a set besides the bounding one.
bool capabilities_drop_all(void);

#endif
