#include "agent/inject/change.h"

#include <stdlib.h>
#include <string.h>

#include "agent/inject/render.h"
#include "base/check.h"

void change_list_fini(struct change_list *list) {
    free(list->changes);
    manifest_fini(&list->scratch);
    *list = (struct change_list){0};
}

struct manifest_node *change_value(struct change_list *list, struct buf *text, struct err *err) {
    struct manifest_node *before = list->scratch.last;
    bool ok = manifest_parse(&list->scratch, buf_span(text), err);
    buf_clear(text);
    if (!ok) {
        return NULL;
    }
    CHECK(list->scratch.last != before && list->scratch.last->kind != MANIFEST_SCALAR);
    return list->scratch.last;
}

bool change_add(struct change_list *list, enum change_kind kind, struct manifest_node *target,
                const struct manifest_node *value, struct err *err) {
    if (list->num == list->cap) {
        size_t cap = list->cap == 0 ? 16 : list->cap * 2;
        struct change *more = reallocarray(list->changes, cap, sizeof *more);
        if (more == NULL) {
            return ERR_NO_MEMORY(err, "planning an injection");
        }
        list->changes = more;
        list->cap = cap;
    }
    list->changes[list->num++] = (struct change){.kind = kind, .target = target, .value = value};
    return true;
}

bool change_put(struct change_list *list, struct manifest_node *map,
                const struct manifest_node *value, struct err *err) {
    const struct manifest_node *pair = value->first;
    struct manifest_node *there = manifest_find(map, pair->key->text);
    if (there == NULL) {
        return change_add(list, CHANGE_ADD, map, value, err);
    }
    if (there->has_properties || there->kind == MANIFEST_ALIAS) {
        return ERR_SET(err, ERR_INPUT, "%s is an anchor, an alias or a tag; write it out",
                       pair->key->text);
    }
    if (manifest_is_empty(there)) {
        return change_add(list, CHANGE_ENTRY, there, value, err);
    }
    if (there->kind != pair->kind) {
        return ERR_SET(err, ERR_INPUT, "%s is not a %s", pair->key->text,
                       pair->kind == MANIFEST_LIST ? "list" : "mapping");
    }
    return change_add(list, CHANGE_ADD, there, pair, err);
}

// --- as edits ------------------------------------------------------------------------------------

static size_t column_of(struct span text, size_t offset) {
    return offset - edit_line_start(text, offset);
}

static size_t child_start(const struct manifest_node *child) {
    return child->key != NULL ? child->key->start : child->start;
}

// A pair that is whole in its line, so that lines can follow it.
static bool is_one_line(struct span text, const struct manifest_node *child) {
    return child->kind == MANIFEST_SCALAR && child->end > child->start &&
           memchr("|>", text.ptr[child->start], 2) == NULL &&
           memchr(text.ptr + child->key->start, '\n', child->end - child->key->start) == NULL;
}

static const struct manifest_node *find_one_line(struct span text,
                                                 const struct manifest_node *map) {
    const struct manifest_node *child = map->first;
    bool may_come_first = edit_is_alone(text, child->key->start);
    if (may_come_first) {
        return is_one_line(text, child) ? child : NULL;
    }
    while (child != NULL && !is_one_line(text, child)) {
        child = child->next;
    }
    return child;
}

// Where lines of block YAML can be put into a collection. False: nowhere.
static bool find_line(struct span text, const struct manifest_node *target, size_t *offset) {
    const struct manifest_node *behind =
        target->kind == MANIFEST_MAP ? find_one_line(text, target) : NULL;
    if (behind != NULL) {
        *offset = edit_line_end(text, behind->end);
        return true;
    }
    size_t first = target->kind == MANIFEST_MAP ? target->first->key->start : target->start;
    *offset = edit_line_start(text, first);
    return edit_is_alone(text, first);
}

// The lines of `lines`, so that the text's last line need not end in a newline.
static bool put_lines(struct span text, size_t offset, struct buf *lines, struct buf *out) {
    struct span rendered = buf_span(lines);
    const char *newline = edit_newline(text);
    bool is_open = offset == text.len && offset > 0 && text.ptr[offset - 1] != '\n';
    if (is_open) {
        return buf_append_text(out, newline) &&
               buf_append(out, rendered.ptr, rendered.len - strlen(newline));
    }
    return buf_append(out, rendered.ptr, rendered.len);
}

static bool add_lines(const struct change *change, struct span text, struct edit_list *edits,
                      struct err *err) {
    const struct manifest_node *target = change->target;
    size_t offset = 0;
    if (!find_line(text, target, &offset)) {
        return ERR_SET(err, ERR_INPUT,
                       "there is no line of its own to put a value before; "
                       "write this mapping on lines of its own");
    }
    size_t indent =
        column_of(text, target->kind == MANIFEST_MAP ? target->first->key->start : target->start);
    struct buf lines = {0};
    struct buf put = {0};
    bool ok = render_block(&lines, change->value, indent, edit_newline(text)) &&
              put_lines(text, offset, &lines, &put);
    buf_fini(&lines);
    if (!ok) {
        buf_fini(&put);
        return ERR_NO_MEMORY(err, "editing a manifest");
    }
    return edit_add(edits, offset, 0, &put, err);
}

// What stands between a bracket and the first child: the layout that our children take over.
static struct span gap_of(struct span text, const struct manifest_node *target) {
    size_t start = target->start + 1;
    size_t len = child_start(target->first) - start;
    for (size_t i = 0; i < len; i++) {
        if (memchr(" \t\r\n", text.ptr[start + i], 4) == NULL) {
            return span_of_text(" ");
        }
    }
    return span_of(text.ptr + start, len);
}

static size_t line_indent(struct span text, size_t offset) {
    size_t start = edit_line_start(text, offset);
    size_t indent = 0;
    while (start + indent < text.len && text.ptr[start + indent] == ' ') {
        indent++;
    }
    return indent;
}

static struct render_layout layout_of(struct span text, const struct manifest_node *target) {
    struct render_layout layout = {.newline = edit_newline(text)};
    size_t first = child_start(target->first);
    if (edit_is_alone(text, first)) {
        size_t outside = line_indent(text, target->start);
        layout.indent = column_of(text, first);
        layout.step = layout.indent > outside ? layout.indent - outside : 2;
    }
    return layout;
}

static bool put_pair(struct buf *out, const struct manifest_node *child,
                     struct render_layout layout) {
    if (child->key == NULL) {
        return render_json(out, child, layout);
    }
    return render_quoted(out, span_of(child->key->text, child->key->len)) &&
           buf_append_text(out, ": ") && render_json(out, child, layout);
}

static bool add_flow(const struct change *change, struct span text, struct edit_list *edits,
                     struct err *err) {
    struct span gap = gap_of(text, change->target);
    struct render_layout layout = layout_of(text, change->target);
    struct buf put = {0};
    bool ok = true;
    for (const struct manifest_node *child = change->value->first; ok && child != NULL;
         child = child->next) {
        ok = put_pair(&put, child, layout) && buf_append_text(&put, ",") &&
             buf_append(&put, gap.ptr, gap.len);
    }
    if (!ok) {
        buf_fini(&put);
        return ERR_NO_MEMORY(err, "editing a manifest");
    }
    return edit_add(edits, child_start(change->target->first), 0, &put, err);
}

// The lines of a pair, but for the first one's indent and the last one's newline.
static bool put_entry_lines(struct buf *out, const struct manifest_node *value, size_t indent,
                            const char *newline) {
    struct buf lines = {0};
    bool ok = render_block(&lines, value, indent, newline);
    struct span rendered = buf_span(&lines);
    ok = ok && buf_append(out, rendered.ptr + indent, rendered.len - indent - strlen(newline));
    buf_fini(&lines);
    return ok;
}

static bool set_entry(const struct change *change, struct span text, struct edit_list *edits,
                      struct err *err) {
    const struct manifest_node *target = change->target;
    const struct manifest_node *map = target->parent;
    size_t start = target->key->start;
    struct buf put = {0};
    bool ok = map->is_flow ? put_pair(&put, change->value->first, layout_of(text, map))
                           : put_entry_lines(&put, change->value, column_of(text, start),
                                             edit_newline(text));
    if (!ok) {
        buf_fini(&put);
        return ERR_NO_MEMORY(err, "editing a manifest");
    }
    return edit_add(edits, start, target->end - start, &put, err);
}

bool change_to_edits(const struct change *change, struct span text, struct edit_list *edits,
                     struct err *err) {
    if (change->kind == CHANGE_ENTRY) {
        return set_entry(change, text, edits, err);
    }
    CHECK(change->target->num > 0);
    return change->target->is_flow ? add_flow(change, text, edits, err)
                                   : add_lines(change, text, edits, err);
}

// --- as a patch ----------------------------------------------------------------------------------

static bool put_token(struct buf *out, struct span text) {
    bool ok = buf_append_text(out, "/");
    for (size_t i = 0; ok && i < text.len; i++) {
        const char *escaped = text.ptr[i] == '~' ? "~0" : text.ptr[i] == '/' ? "~1" : NULL;
        ok = escaped != NULL ? buf_append_text(out, escaped) : buf_append(out, text.ptr + i, 1);
    }
    return ok;
}

static size_t index_of(const struct manifest_node *node) {
    size_t index = 0;
    for (const struct manifest_node *at = node->parent->first; at != node; at = at->next) {
        index++;
    }
    return index;
}

bool change_pointer(const struct manifest_node *node, const struct manifest_node *root,
                    struct buf *out) {
    if (node == root) {
        return true;
    }
    if (!change_pointer(node->parent, root, out)) {
        return false;
    }
    return node->key != NULL ? put_token(out, span_of(node->key->text, node->key->len))
                             : buf_printf(out, "/%zu", index_of(node));
}

static bool put_operation(struct buf *out, const char *name, const struct buf *pointer,
                          const struct manifest_node *value) {
    bool ok =
        buf_printf(out, "{\"op\":\"%s\",\"path\":", name) && render_quoted(out, buf_span(pointer));
    if (ok && value != NULL) {
        ok = buf_append_text(out, ",\"value\":") &&
             render_json(out, value, (struct render_layout){0});
    }
    return ok && buf_append_text(out, "},");
}

// The children of a list go to places 0, 1, ...; those of a map to their keys.
static bool patch_add(const struct change *change, const struct manifest_node *root,
                      struct buf *out) {
    bool ok = true;
    for (const struct manifest_node *child = change->value->first; ok && child != NULL;
         child = child->next) {
        struct buf pointer = {0};
        ok = change_pointer(change->target, root, &pointer) &&
             (child->key != NULL ? put_token(&pointer, span_of(child->key->text, child->key->len))
                                 : buf_printf(&pointer, "/%zu", index_of(child))) &&
             put_operation(out, "add", &pointer, child);
        buf_fini(&pointer);
    }
    return ok;
}

static bool patch_entry(const struct change *change, const struct manifest_node *root,
                        struct buf *out) {
    const struct manifest_node *pair = change->value->first;
    struct buf before = {0};
    struct buf after = {0};
    bool ok = change_pointer(change->target, root, &before) &&
              change_pointer(change->target->parent, root, &after) &&
              put_token(&after, span_of(pair->key->text, pair->key->len)) &&
              put_operation(out, "remove", &before, NULL) &&
              put_operation(out, "add", &after, pair);
    buf_fini(&before);
    buf_fini(&after);
    return ok;
}

bool change_to_patch(const struct change *change, const struct manifest_node *root,
                     struct buf *out) {
    return change->kind == CHANGE_ENTRY ? patch_entry(change, root, out)
                                        : patch_add(change, root, out);
}
