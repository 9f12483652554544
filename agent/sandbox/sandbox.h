// What the agent gives up once it has started: capabilities, gaining privileges by executing,
// files that it has no business with (Landlock), system calls that it does not make (seccomp).
// docs/decisions/0012 says what each holds off.
#ifndef AGENT_SANDBOX_SANDBOX_H
#define AGENT_SANDBOX_SANDBOX_H

#include <stdbool.h>

#include "agent/config/config.h"
#include "agent/sandbox/sandbox_places.h"
#include "base/err.h"

enum sandbox_layer {
    SANDBOX_NO_NEW_PRIVS,
    SANDBOX_LANDLOCK,
    SANDBOX_CAPABILITIES,
    SANDBOX_SECCOMP,
    SANDBOX_LAYERS,
};
const char *sandbox_layer_name(enum sandbox_layer layer); // "noNewPrivs", ...

struct sandbox {
    enum sandbox_mode mode;
    struct {
        bool is_on;
        int errnum; // why not; 0 with mode off
    } layers[SANDBOX_LAYERS];
    struct sandbox_places places; // what Landlock leaves
    int own_proc;                 // keeps /proc/self the thing that Landlock knows; -1: not open
};

// Before the process has other threads: they have no more than the one that starts them. By
// config->sandbox, nothing is done, or a layer that cannot be had is an error that names it, or is
// left out. NULL with the sentence on error.
struct sandbox *sandbox_enter(const struct config *config, const char *config_path,
                              struct err *err) MUST_USE;
void sandbox_free(struct sandbox *sandbox); // the process stays inside
OWN_DEFINE(struct sandbox, sandbox_free)

// Whether a new configuration (NULL: only its file is asked about) gets along with the places that
// were left. The sentence names the path that does not.
bool sandbox_admits(const struct sandbox *sandbox, const struct config *config,
                    const char *config_path, struct err *err) MUST_USE;
// The first place of the configuration that was not there to be left open, or NULL.
const struct sandbox_place *sandbox_missing_place(const struct sandbox *sandbox);

#endif
