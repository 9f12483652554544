// systemd's socket activation (sd_listen_fds(3)): the sockets begin at descriptor 3, and
// LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES of the environment say whose they are, how many, and
// what their units call them.
#ifndef AGENT_NET_LISTEN_FDS_H
#define AGENT_NET_LISTEN_FDS_H

#include <sys/types.h>

#include "agent/net/handed.h"

#define LISTEN_FDS_FIRST 3
#define LISTEN_FDS_MAX 1024 // far more than any configuration has listeners

struct listen_fds_env { // as in the environment; NULL where it is not set
    const char *pid;
    const char *fds;
    const char *names;
};

// How many are meant for the process `self`; 0 when nothing is set, or it is for another process (a
// parent that was activated). False with the sentence when the variables make no sense.
bool listen_fds_parse(const struct listen_fds_env *env, pid_t self, unsigned *num,
                      struct err *err) MUST_USE;
// The name of the i-th in LISTEN_FDNAMES, cut to fit; "unknown" (as systemd says) when it has none.
void listen_fds_name(const char *names, unsigned i, char *out, size_t len);

// Puts the sockets that this process was started with into `into`, and takes the variables out of
// the environment. To be called before any thread is started.
bool listen_fds_take(struct handed *into, struct err *err) MUST_USE;

#endif
