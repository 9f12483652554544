#include "agent/inject/render.h"

enum { BLOCK_STEP = 2, FIRST_PRINTABLE = 0x20, DEL = 0x7f };

// --- scalars -------------------------------------------------------------------------------------

static bool put_escaped(struct buf *out, uint8_t byte) {
    switch (byte) {
    case '"':
        return buf_append_text(out, "\\\"");
    case '\\':
        return buf_append_text(out, "\\\\");
    case '\n':
        return buf_append_text(out, "\\n");
    case '\r':
        return buf_append_text(out, "\\r");
    case '\t':
        return buf_append_text(out, "\\t");
    default:
        break;
    }
    if (byte < FIRST_PRINTABLE || byte == DEL) {
        return buf_printf(out, "\\u%04x", byte);
    }
    return buf_append(out, &byte, 1);
}

bool render_quoted(struct buf *out, struct span text) {
    bool ok = buf_append_text(out, "\"");
    for (size_t i = 0; ok && i < text.len; i++) {
        ok = put_escaped(out, text.ptr[i]);
    }
    return ok && buf_append_text(out, "\"");
}

// Quoted, but for what JSON writes bare.
static bool put_json_scalar(struct buf *out, const struct manifest_node *node) {
    if (manifest_is_null(node)) {
        return buf_append_text(out, "null");
    }
    return manifest_is_bare(node) ? buf_append(out, node->text, node->len)
                                  : render_quoted(out, span_of(node->text, node->len));
}

// As it was written: our own texts are plain where YAML allows that.
static bool put_block_scalar(struct buf *out, const struct manifest_node *node) {
    return node->is_plain ? buf_append(out, node->text, node->len)
                          : render_quoted(out, span_of(node->text, node->len));
}

static bool put_blanks(struct buf *out, size_t num) {
    bool ok = true;
    for (size_t i = 0; ok && i < num; i++) {
        ok = buf_append_text(out, " ");
    }
    return ok;
}

// --- JSON ----------------------------------------------------------------------------------------

static bool break_line(struct buf *out, struct render_layout layout) {
    return layout.step == 0 ||
           (buf_append_text(out, layout.newline) && put_blanks(out, layout.indent));
}

static bool put_json_child(struct buf *out, const struct manifest_node *child,
                           struct render_layout layout) {
    bool ok = break_line(out, layout);
    if (ok && child->key != NULL) {
        ok = render_quoted(out, span_of(child->key->text, child->key->len)) &&
             buf_append_text(out, ": ");
    }
    const char *comma = layout.step == 0 ? ", " : ",";
    return ok && render_json(out, child, layout) &&
           (child->next == NULL || buf_append_text(out, comma));
}

bool render_json(struct buf *out, const struct manifest_node *node, struct render_layout layout) {
    if (node->kind == MANIFEST_SCALAR || node->kind == MANIFEST_ALIAS) {
        return put_json_scalar(out, node);
    }
    bool is_list = node->kind == MANIFEST_LIST;
    struct render_layout inner = layout;
    inner.indent += layout.step;
    bool ok = buf_append_text(out, is_list ? "[" : "{");
    for (const struct manifest_node *child = node->first; ok && child != NULL;
         child = child->next) {
        ok = put_json_child(out, child, inner);
    }
    return ok && (node->num == 0 || break_line(out, layout)) &&
           buf_append_text(out, is_list ? "]" : "}");
}

// --- block YAML ----------------------------------------------------------------------------------

static bool put_block_value(struct buf *out, const struct manifest_node *node, size_t indent,
                            const char *newline) {
    switch (node->kind) {
    case MANIFEST_LIST:
    case MANIFEST_MAP:
        if (node->num > 0 && !node->is_flow) {
            return buf_append_text(out, newline) && render_block(out, node, indent, newline);
        }
        return buf_append_text(out, " ") && render_json(out, node, (struct render_layout){0}) &&
               buf_append_text(out, newline);
    case MANIFEST_SCALAR:
    case MANIFEST_ALIAS:
        break;
    }
    return buf_append_text(out, " ") && put_block_scalar(out, node) &&
           buf_append_text(out, newline);
}

static bool put_block_pair(struct buf *out, const struct manifest_node *child, size_t indent,
                           const char *newline) {
    return put_block_scalar(out, child->key) && buf_append_text(out, ":") &&
           put_block_value(out, child, indent + BLOCK_STEP, newline);
}

// "- " and the value; the first pair of a map stands on the dash's line.
static bool put_block_item(struct buf *out, const struct manifest_node *child, size_t indent,
                           const char *newline) {
    if (child->kind != MANIFEST_MAP || child->num == 0) {
        return buf_append_text(out, "-") &&
               put_block_value(out, child, indent + BLOCK_STEP, newline);
    }
    bool ok = buf_append_text(out, "- ");
    for (const struct manifest_node *pair = child->first; ok && pair != NULL; pair = pair->next) {
        ok = (pair == child->first || put_blanks(out, indent + BLOCK_STEP)) &&
             put_block_pair(out, pair, indent + BLOCK_STEP, newline);
    }
    return ok;
}

bool render_block(struct buf *out, const struct manifest_node *collection, size_t indent,
                  const char *newline) {
    bool ok = true;
    for (const struct manifest_node *child = collection->first; ok && child != NULL;
         child = child->next) {
        ok = put_blanks(out, indent) &&
             (collection->kind == MANIFEST_MAP ? put_block_pair(out, child, indent, newline)
                                               : put_block_item(out, child, indent, newline));
    }
    return ok;
}
