// The last connections that were refused or failed, over all workers: a ring behind a mutex,
// touched only when something went wrong.
#ifndef AGENT_WORKER_REFUSALS_H
#define AGENT_WORKER_REFUSALS_H

#include "agent/observe/view.h"
#include "base/own.h"

#define REFUSALS_KEPT 256

struct refusals;

struct refusals *refusals_new(void) MUST_USE;
void refusals_free(struct refusals *refusals);
OWN_DEFINE(struct refusals, refusals_free)

void refusals_add(struct refusals *refusals, const struct refusal_view *refusal); // copies
void refusals_render(struct refusals *refusals, struct view *out);                // newest first

#endif
