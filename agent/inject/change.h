// What injection does to one pod, apart from how it is written down: a list of changes to a tree.
// change_to_edits writes them into the text that the tree was made from, change_to_patch as an RFC
// 6902 patch.
// The values belong to `scratch`; targets are borrowed.
#ifndef AGENT_INJECT_CHANGE_H
#define AGENT_INJECT_CHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/inject/edit.h"
#include "agent/inject/manifest.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

enum change_kind {
    CHANGE_ADD,   // the children of `value` come to the front of `target`, which has children
    CHANGE_ENTRY, // the one pair of `value` stands in a map where `target` and its key stood
};

struct change {
    enum change_kind kind;
    struct manifest_node *target;
    const struct manifest_node *value;
};

struct change_list {
    struct change *changes;
    size_t num;
    size_t cap;
    struct manifest scratch;
};

void change_list_fini(struct change_list *list);

// Reads `text`, one YAML document that is a list or map of ours, into the list's scratch; NULL on
// failure. `text` is emptied.
struct manifest_node *change_value(struct change_list *list, struct buf *text,
                                   struct err *err) MUST_USE;
bool change_add(struct change_list *list, enum change_kind kind, struct manifest_node *target,
                const struct manifest_node *value, struct err *err) MUST_USE;
// `map`, which has children, shall hold the pair `value`: at the front of what is there under its
// key, instead of nothing, or as a new pair. Fails where something else is there.
bool change_put(struct change_list *list, struct manifest_node *map,
                const struct manifest_node *value, struct err *err) MUST_USE;

bool change_to_edits(const struct change *change, struct span text, struct edit_list *edits,
                     struct err *err) MUST_USE;
// Appends operations, ended by a comma each, of one change to a JSON list; `root` is the document.
bool change_to_patch(const struct change *change, const struct manifest_node *root,
                     struct buf *out) MUST_USE;
// The JSON pointer of a node below `root`.
bool change_pointer(const struct manifest_node *node, const struct manifest_node *root,
                    struct buf *out) MUST_USE;

#endif
