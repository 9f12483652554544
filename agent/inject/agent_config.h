// The agent's configuration in a pod, as YAML with one section in a line: what injection decides,
// and behind it the user's own sections, which take the place of ours of the same name. Pure.
#ifndef AGENT_INJECT_AGENT_CONFIG_H
#define AGENT_INJECT_AGENT_CONFIG_H

#include <stdbool.h>

#include "agent/inject/settings.h"
#include "base/buf.h"
#include "base/own.h"
#include "base/span.h"

// What of a pod the configuration depends on.
struct agent_config_facts {
    unsigned grace_s; // terminationGracePeriodSeconds
    bool shares_processes;
    struct span probes; // rows of status.probes, separated by commas
};

bool agent_config_render(const struct settings *settings, const struct agent_config_facts *facts,
                         struct buf *out) MUST_USE;

#endif
