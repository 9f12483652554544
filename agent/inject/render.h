// Nodes of a manifest as text: lines of block YAML, or JSON (which is YAML's flow style too). Pure.
#ifndef AGENT_INJECT_RENDER_H
#define AGENT_INJECT_RENDER_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/inject/manifest.h"
#include "base/buf.h"
#include "base/own.h"
#include "base/span.h"

// How JSON is laid out: `step` more blanks for each level inside `indent`; 0: all in one line.
struct render_layout {
    size_t indent;
    size_t step;
    const char *newline;
};

// `text` in double quotes, as JSON and YAML read it.
bool render_quoted(struct buf *out, struct span text) MUST_USE;
// A value as JSON, in one line or several.
bool render_json(struct buf *out, const struct manifest_node *node,
                 struct render_layout layout) MUST_USE;
// The children of a list or map as lines of block YAML, each `indent` blanks in, ended by a
// newline.
bool render_block(struct buf *out, const struct manifest_node *collection, size_t indent,
                  const char *newline) MUST_USE;

#endif
