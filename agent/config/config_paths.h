// Every path that a configuration names, by the table of options: a new option of that kind is
// among them by itself.
#ifndef AGENT_CONFIG_CONFIG_PATHS_H
#define AGENT_CONFIG_CONFIG_PATHS_H

#include <stdbool.h>

#include "agent/config/config.h"

struct config_path {
    const char *key;  // "inbound.ports[0].certificates[1].keyFile"
    const char *path; // absolute
    bool is_written;  // a directory that the agent writes in
};

// False ends the walk.
typedef bool config_path_fn(void *arg, const struct config_path *path);

// False when `each` said so.
bool config_paths_each(const struct config *config, config_path_fn *each, void *arg) MUST_USE;

#endif
