// The inverse of an injection: which bytes of a text to take out, and which to put back. Pure.
#ifndef AGENT_INJECT_REMOVAL_H
#define AGENT_INJECT_REMOVAL_H

#include <stdbool.h>

#include "agent/inject/edit.h"
#include "agent/inject/manifest.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

// Adds the edits for an injected pod of `text`.
bool removal_plan(struct manifest_node *pod, struct span text, struct edit_list *edits,
                  struct err *err) MUST_USE;

#endif
