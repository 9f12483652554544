// A small process that starts the agent's successor when it is told to: it was forked before the
// agent locked itself in, so the agent need not keep the right to execute anything. It can do one
// thing, execute the file that this program was started from with the same words and --take-over,
// and it ends with the agent.
#ifndef AGENT_CONTROL_LAUNCHER_H
#define AGENT_CONTROL_LAUNCHER_H

#include <sys/types.h>

// What the launcher says when a successor that it started has ended.
struct launcher_report {
    pid_t pid;
    int status; // as of waitpid
};

// Both are the caller's, and -1 where there is none.
struct launcher {
    int fd;    // SOCK_SEQPACKET: a byte is a wish, the answers are reports; closed, it ends
    int pidfd; // readable when it has ended: a successor has another parent from then on
};

// Starts it, before any thread and any secret. `argv` are the words of `pavise agent ...` from
// "agent" on. There is none as process 1, whose end would take a successor with it.
struct launcher launcher_start(int argc, char **argv);

#endif
