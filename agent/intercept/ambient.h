// Handing a capability on to a program that this process starts. A container that is not root has
// NET_ADMIN by a file capability on our own program; nft has none, so without this it would lose
// it.
#ifndef AGENT_INTERCEPT_AMBIENT_H
#define AGENT_INTERCEPT_AMBIENT_H

#include <stdbool.h>

// Raises NET_ADMIN, where this process has it, to inheritable and ambient: every program that it
// executes from then on has it too. False when it does not have it or the kernel refuses.
bool ambient_raise_net_admin(void);

#endif
