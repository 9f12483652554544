// A YAML text as a tree of nodes that know their line and column: the only door to libyaml.
// One document; no aliases, tags, or duplicate keys; bounded in depth, nodes and keys. Scalars are
// printable (no control characters), so they may stand in messages and rules.
// The tree belongs to the caller; it is read-only but for `is_bad`.
#ifndef AGENT_CONFIG_YAML_TREE_H
#define AGENT_CONFIG_YAML_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/config/report.h"
#include "base/own.h"
#include "base/span.h"

#define YAML_TREE_DEPTH_MAX 16
#define YAML_TREE_NODES_MAX 100000
#define YAML_TREE_KEYS_MAX 256 // of one mapping
#define YAML_TREE_NOT_ONE_LINE "this text holds a line break or another control character"

enum yaml_tree_kind { YAML_TREE_SCALAR, YAML_TREE_SEQUENCE, YAML_TREE_MAPPING };

struct yaml_tree_node {
    enum yaml_tree_kind kind;
    bool is_plain;  // a scalar without quotes
    bool has_lines; // a literal (`|`) or double-quoted scalar with a line break in it
    bool is_bad;    // a mistake in it, or below it, has been reported
    struct report_place place;
    const struct yaml_tree_node *key; // the key that it is the value of, in a mapping
    struct yaml_tree_node *first;     // child
    struct yaml_tree_node *last;
    struct yaml_tree_node *next; // sibling
    size_t num;                  // children
    struct yaml_tree_node *made_before;
    size_t len;
    char text[]; // of a scalar, NUL-terminated
};

struct yaml_tree {
    struct yaml_tree_node *root;      // NULL: the text holds nothing
    struct yaml_tree_node *made_last; // every node, for destruction
};

// Parses `text`. Mistakes go to `report`; false when there is no tree to look at (it is empty
// then).
bool yaml_tree_parse(struct yaml_tree *out, struct span text, struct report *report) MUST_USE;
void yaml_tree_fini(struct yaml_tree *tree);

// The value of `key` in a mapping; NULL when absent, or when `node` is NULL or not a mapping.
struct yaml_tree_node *yaml_tree_find(const struct yaml_tree_node *node, const char *key);
// True for nothing, `~` and `null`, unquoted.
bool yaml_tree_is_null(const struct yaml_tree_node *node);
const char *yaml_tree_kind_name(const struct yaml_tree_node *node); // "a list"

#endif
