// A plain view of the trust store: what the status port and `pavise trust` show.
#ifndef AGENT_OBSERVE_TRUST_VIEW_H
#define AGENT_OBSERVE_TRUST_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/own.h"
#include "certmgr/trust/trust_set.h"

// A process whose environment names the store.
struct trust_process_view {
    pid_t pid;
    char command[64];   // its program's name
    int64_t started_ms; // wall clock
    bool needs_restart; // it started before the store was written that is there now
};

enum trust_state {
    TRUST_STATE_OFF,     // not configured
    TRUST_STATE_PENDING, // nothing written yet
    TRUST_STATE_WRITTEN,
    TRUST_STATE_FAILING, // the last attempt failed; what was written before is there, if anything
};
const char *trust_state_name(enum trust_state state); // "off", "pending", ...

struct trust_view {
    enum trust_state state;
    char output[4096];
    char public_roots[4096]; // the file that they are from; "" for none
    uint64_t generation;
    int64_t written_ms;    // wall clock; 0: never
    int64_t checked_ms;    // wall clock, the last time that everything was read
    char last_error[768];  // "" when the last attempt worked
    struct trust_set *set; // a reference, or NULL
    struct trust_process_view *processes;
    size_t num_processes;
    size_t num_unreadable; // processes whose environment may not be read
};

void trust_view_fini(struct trust_view *view);
size_t trust_view_num_stale(const struct trust_view *view); // processes that need a restart

#endif
