// The control loop: one thread that owns the configuration, the identity and the workers. Whatever
// changes becomes a new snapshot that is handed to every worker. Signals, the status port and the
// identity source meet here.
#ifndef AGENT_CONTROL_CONTROL_H
#define AGENT_CONTROL_CONTROL_H

#include "agent/control/launcher.h"
#include "base/err.h"

struct control;

struct control_start {
    const char *config_path;
    bool take_over;           // from the agent that runs with this configuration
    struct launcher launcher; // of successors, taken
};

// Loads the configuration and starts everything. NULL with the sentence on error; mistakes of the
// configuration are printed on standard error, each as file:line:col: sentence.
struct control *control_new(const struct control_start *how, struct err *err) MUST_USE;
// Runs until SIGTERM's drain has ended. The process's exit code.
int control_run(struct control *control);
void control_free(struct control *control);
OWN_DEFINE(struct control, control_free)

#endif
