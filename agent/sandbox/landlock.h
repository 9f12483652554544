// Landlock, as far as the sandbox needs it: a set of places in the file system, everything outside
// of which the calling thread (and those that it starts) can neither read, write nor execute. A
// place is a directory with all below it, or one file; it is the thing itself, not its name, so a
// file that is replaced by a rename is another one. Connecting to sockets and looking at names and
// attributes (stat) are not restricted.
#ifndef AGENT_SANDBOX_LANDLOCK_H
#define AGENT_SANDBOX_LANDLOCK_H

#include <stdbool.h>

enum landlock_access {
    LANDLOCK_READ = 1,  // files and directories
    LANDLOCK_WRITE = 2, // as well as making, replacing and removing them; never devices or sockets
};

// The version that the kernel has; 0 with errno when there is none (ENOSYS) or it is switched off
// (EOPNOTSUPP).
int landlock_abi(void);

// A new set without places, as a descriptor; -1 with errno.
int landlock_new(void);
// `access`: bits of enum landlock_access. False with errno.
bool landlock_allow(int set, const char *path, unsigned access);
// From here on. no_new_privs has to be set. The descriptor stays the caller's.
bool landlock_enforce(int set);

#endif
