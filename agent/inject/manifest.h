// Kubernetes manifests as trees whose nodes know their bytes, so that a text can be changed in
// place: YAML (several documents) and JSON. The one door to libyaml here. No I/O.
// A tree owns its nodes and does not keep the text. Bounded in size, depth and nodes.
#ifndef AGENT_INJECT_MANIFEST_H
#define AGENT_INJECT_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

#define MANIFEST_BYTES_MAX ((size_t)16 << 20)
#define MANIFEST_DEPTH_MAX 64
#define MANIFEST_NODES_MAX 500000

enum manifest_kind { MANIFEST_SCALAR, MANIFEST_LIST, MANIFEST_MAP, MANIFEST_ALIAS };

struct manifest_node {
    enum manifest_kind kind;
    bool is_plain;       // a scalar without quotes
    bool is_flow;        // a collection in brackets
    bool has_properties; // an anchor or a tag stands before it
    bool is_marked;      // for whoever walks the tree; false at first
    size_t start;        // the first byte: of a block collection, its first key or dash
    size_t end;          // behind the last byte
    struct manifest_node *parent;
    struct manifest_node *key; // that it is the value of, in a map
    struct manifest_node *first;
    struct manifest_node *last;
    struct manifest_node *next; // sibling; of a root, the next document's root
    size_t num;                 // children
    struct manifest_node *made_before;
    size_t len;
    char text[]; // of a scalar, NUL-terminated
};

struct manifest {
    struct manifest_node
        *first; // the root of the first document; documents without one are left out
    struct manifest_node *last;
    struct manifest_node *made_last;
    size_t num_nodes;
};

// Adds the documents of `text` to `manifest` (zeroed, or with others in it). On failure the
// sentence names line and column; the nodes made so far stay for _fini.
bool manifest_parse(struct manifest *manifest, struct span text, struct err *err) MUST_USE;
void manifest_fini(struct manifest *manifest);

// The value of `key`; NULL when `node` is NULL, not a map, or has none.
struct manifest_node *manifest_find(const struct manifest_node *node, const char *key);
// The same along a path: "spec/template".
struct manifest_node *manifest_at(struct manifest_node *node, const char *path);
// The text of a scalar child; NULL when there is none.
const char *manifest_text(const struct manifest_node *node, const char *key);
// Nothing, ~ or null, unquoted; also a list or map without children.
bool manifest_is_null(const struct manifest_node *node);
bool manifest_is_empty(const struct manifest_node *node);
// A scalar that JSON writes without quotes: a number, true, false, null.
bool manifest_is_bare(const struct manifest_node *node);
// Counted from 1, for sentences.
void manifest_place(struct span text, size_t offset, unsigned *line, unsigned *column);

#endif
