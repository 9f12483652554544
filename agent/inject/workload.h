// Where the pods are in a manifest: of a Pod itself, in the template of what makes pods, and in the
// items of a List. Pure.
#ifndef AGENT_INJECT_WORKLOAD_H
#define AGENT_INJECT_WORKLOAD_H

#include <stdbool.h>

#include "agent/inject/manifest.h"
#include "base/own.h"

struct workload {
    const char *kind;
    const char *namespace; // "" when not given
    const char *name;
    struct manifest_node *object;
    struct manifest_node *pod; // has metadata and spec
};

// Returns false to end the walk.
typedef bool workload_fn(const struct workload *workload, void *context);

// Calls `visit` for each workload of one document, in order. False when a call has said so.
bool workload_visit(struct manifest_node *document, workload_fn *visit, void *context) MUST_USE;

#endif
