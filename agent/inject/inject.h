// A manifest's text -> the same text with the sidecar in its workloads, or without it again.
// Comments, unknown fields and layout stay. Injecting what is injected changes nothing; taking the
// injection out gives the original bytes back. No I/O.
#ifndef AGENT_INJECT_INJECT_H
#define AGENT_INJECT_INJECT_H

#include <stdbool.h>

#include "agent/inject/settings.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

// Appends the new text to `out`, and to `report` one line per workload: what was done, or why not.
// Failure (the sentence names the workload) means that there is no new text; the report says what
// had been seen so far.
bool inject_text(struct span text, const struct settings *settings, struct buf *out,
                 struct buf *report, struct err *err) MUST_USE;
bool inject_remove(struct span text, struct buf *out, struct buf *report, struct err *err) MUST_USE;

#endif
