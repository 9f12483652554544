// One pod and its settings -> the changes that inject it, and the configuration that its agent will
// read. Pure; the same for files, the webhook, and every kind of workload.
#ifndef AGENT_INJECT_PLAN_H
#define AGENT_INJECT_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/inject/change.h"
#include "agent/inject/manifest.h"
#include "agent/inject/settings.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

enum plan_verdict {
    PLAN_INJECT,
    PLAN_ALREADY,  // it has been injected
    PLAN_DISABLED, // the user does not want it
    PLAN_HOST,     // hostNetwork: rules would hit the node
    PLAN_WINDOWS,
    PLAN_EMPTY, // no containers
};

struct plan {
    struct span source; // the text that the pod is from, where what is replaced must be kept in it
    struct change_list changes;
    size_t num_probes;
    struct buf kept; // variables that the application sets itself, so that ours do not
};

void plan_fini(struct plan *plan);
// Whether the pod (metadata and spec) is one to inject.
enum plan_verdict plan_judge(struct manifest_node *pod);
const char *plan_verdict_text(enum plan_verdict verdict);
// Plans the injection of a pod that PLAN_INJECT was said of; `settings` are the general ones. The
// sentence of a failure says what in the pod or its annotations stands in the way.
bool plan_pod(struct plan *plan, struct manifest_node *pod, const struct settings *settings,
              struct err *err) MUST_USE;

#endif
