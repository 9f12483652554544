// Whether the application has ended, seen from a process namespace that is shared with it: a
// process of its own, forked before the sandbox closes /proc to the agent (docs/decisions/0012),
// looks into it. The application is every process there but
//   - number 1, which is the pod's pause container or whatever else holds the namespace; where that
//     is `pavise intercept up --hold`, also what is in its control group: health checks,
//   - those with the agent's uid: itself, and what it has started,
//   - those in the agent's own control group, where control groups tell containers apart: what
//     somebody executes in its container, which is root's for a moment before it is the agent's,
//   - what still bears a container runtime's name, unless it is in a container's control group: it
//     may be on its way to one of those above,
//   - dead ones that nobody has waited for.
#ifndef AGENT_CONTROL_APP_WATCH_H
#define AGENT_CONTROL_APP_WATCH_H

#include <stdbool.h>
#include <sys/types.h>

// Looks in a row with a process of it, before it is believed, should a runtime have another name.
#define APP_WATCH_HITS 4
// In a row without any process of it: one container may end just before another one starts.
#define APP_WATCH_MISSES 8

enum app_watch_state {
    APP_WATCH_NOT_YET, // it was never seen
    APP_WATCH_RUNS,
    APP_WATCH_ENDED,
};

struct app_watch {
    const char *proc; // "/proc"
    uid_t own_uid;
    bool was_seen;
    unsigned hits, misses;
};

enum app_watch_state app_watch_look(struct app_watch *watch);

// The words of the process that looks.
#define APP_WATCH_SAYS_SEEN 's'
#define APP_WATCH_SAYS_ENDED 'e'

// Starts the process that looks until the application has ended. It says that it has seen it, and
// that it has ended. A descriptor, which ends it when it is closed; -1 with errno. Before the first
// thread of this process.
int app_watch_start(const struct app_watch *watch);
// To the process at the other end of `fd`: another one has seen the application.
void app_watch_tell_seen(int fd);

#endif
