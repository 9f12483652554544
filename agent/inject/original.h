// What stood where an injection replaced something, kept in the pod as the annotation
// MARK_ORIGINAL, so that it can be put back byte for byte: a JSON object from the place (a JSON
// pointer into the injected pod) to the column and the text. Pure.
#ifndef AGENT_INJECT_ORIGINAL_H
#define AGENT_INJECT_ORIGINAL_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/inject/change.h"
#include "agent/inject/edit.h"
#include "agent/inject/manifest.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

// Appends what CHANGE_ENTRY takes the place of to `out`; nothing when no change does.
// `moved` is how many items will come before those that are there.
struct original_moved {
    size_t init_containers;
    size_t containers;
};
bool original_render(const struct change_list *changes, const struct manifest_node *pod,
                     struct span text, const struct original_moved *moved,
                     struct buf *out) MUST_USE;

// The pairs to put back into `pod`, read from its annotation.
struct original {
    struct manifest kept; // one map
};
bool original_parse(struct original *original, struct manifest_node *pod, struct err *err) MUST_USE;
void original_fini(struct original *original);
// True when `node` of the pod will be replaced.
bool original_covers(const struct original *original, struct manifest_node *pod,
                     const struct manifest_node *node);
bool original_restore(const struct original *original, struct manifest_node *pod, struct span text,
                      struct edit_list *edits, struct err *err) MUST_USE;

#endif
