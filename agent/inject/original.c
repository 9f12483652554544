#include "agent/inject/original.h"

#include <stdlib.h>
#include <string.h>

#include "agent/inject/mark.h"
#include "agent/inject/render.h"

#define INIT_CONTAINERS "/spec/initContainers/"
#define CONTAINERS "/spec/containers/"

enum { COLUMN_MAX = 1000, TOKEN_MAX = 256 };

// --- keeping -------------------------------------------------------------------------------------

// Appends `pointer`, moved by `num` if it is below `list`; false when it is not there.
static bool put_moved(const char *pointer, const char *list, size_t num, struct buf *out,
                      bool *ok) {
    const size_t lead = strlen(list);
    if (strncmp(pointer, list, lead) != 0) {
        return false;
    }
    char *rest = NULL;
    size_t index = strtoul(pointer + lead, &rest, 10);
    *ok = buf_printf(out, "%s%zu%s", list, index + num, rest);
    return true;
}

// The pointer of a change's pair as it will be.
static bool put_pointer(const struct change *change, const struct manifest_node *pod,
                        const struct original_moved *by, struct buf *out) {
    struct buf pointer = {0};
    bool ok = change_pointer(change->target->parent, pod, &pointer) &&
              buf_printf(&pointer, "/%s", change->value->first->key->text);
    char *text = ok ? buf_take_text(&pointer) : NULL;
    buf_fini(&pointer);
    if (text == NULL) {
        return false;
    }
    struct buf moved = {0};
    if (!put_moved(text, INIT_CONTAINERS, by->init_containers, &moved, &ok) &&
        !put_moved(text, CONTAINERS, by->containers, &moved, &ok)) {
        ok = buf_append_text(&moved, text);
    }
    free(text);
    ok = ok && render_quoted(out, buf_span(&moved));
    buf_fini(&moved);
    return ok;
}

static bool put_kept(const struct change *change, struct span text, struct buf *out) {
    size_t start = change->target->key->start;
    size_t column = start - edit_line_start(text, start);
    return buf_printf(out, ":[%zu,", change->target->parent->is_flow ? 0 : column) &&
           render_quoted(out, span_of(text.ptr + start, change->target->end - start)) &&
           buf_append_text(out, "]");
}

bool original_render(const struct change_list *changes, const struct manifest_node *pod,
                     struct span text, const struct original_moved *moved, struct buf *out) {
    size_t num = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < changes->num; i++) {
        const struct change *change = &changes->changes[i];
        if (change->kind == CHANGE_ENTRY) {
            ok = buf_append_text(out, num++ == 0 ? "{" : ",") &&
                 put_pointer(change, pod, moved, out) && put_kept(change, text, out);
        }
    }
    return ok && (num == 0 || buf_append_text(out, "}"));
}

// --- finding -------------------------------------------------------------------------------------

bool original_parse(struct original *original, struct manifest_node *pod, struct err *err) {
    *original = (struct original){0};
    const char *kept = manifest_text(manifest_at(pod, "metadata/annotations"), MARK_ORIGINAL);
    if (kept == NULL) {
        return true;
    }
    if (!manifest_parse(&original->kept, span_of_text(kept), err) || original->kept.first == NULL ||
        original->kept.first->kind != MANIFEST_MAP) {
        original_fini(original);
        return ERR_SET(err, ERR_INPUT, "the annotation " MARK_ORIGINAL " has been changed");
    }
    return true;
}

void original_fini(struct original *original) {
    manifest_fini(&original->kept);
}

static struct manifest_node *child_of(struct manifest_node *node, const char *token) {
    if (node == NULL || node->kind != MANIFEST_LIST) {
        return manifest_find(node, token);
    }
    size_t index = strtoul(token, NULL, 10);
    struct manifest_node *child = node->first;
    while (child != NULL && index-- > 0) {
        child = child->next;
    }
    return child;
}

// Pointers of ours hold no escapes.
static struct manifest_node *resolve(struct manifest_node *node, const char *pointer) {
    while (node != NULL && *pointer == '/') {
        char token[TOKEN_MAX];
        size_t len = strcspn(++pointer, "/");
        if (len >= sizeof token) {
            return NULL;
        }
        memcpy(token, pointer, len);
        token[len] = '\0';
        node = child_of(node, token);
        pointer += len;
    }
    return node;
}

bool original_covers(const struct original *original, struct manifest_node *pod,
                     const struct manifest_node *node) {
    const struct manifest_node *pair =
        original->kept.first == NULL ? NULL : original->kept.first->first;
    for (; pair != NULL; pair = pair->next) {
        if (resolve(pod, pair->key->text) == node) {
            return true;
        }
    }
    return false;
}

// --- putting back --------------------------------------------------------------------------------

// Lines behind the first, moved from column `from` to column `to`.
static bool put_shifted(struct buf *out, struct span text, size_t from, size_t to) {
    bool ok = true;
    while (ok && text.len > 0) {
        const uint8_t *end = memchr(text.ptr, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.ptr) + 1;
        ok = buf_append(out, text.ptr, len);
        text = span_after(text, len);
        size_t blanks = 0;
        while (blanks < from && blanks < text.len && text.ptr[blanks] == ' ') {
            blanks++;
        }
        bool moves = from != to && text.len > 0 && blanks == from;
        text = span_after(text, moves ? blanks : 0);
        for (size_t i = 0; ok && moves && i < to; i++) {
            ok = buf_append_text(out, " ");
        }
    }
    return ok;
}

// Block YAML that has come into a JSON text.
static bool put_as_json(struct buf *out, struct span text, struct err *err) {
    struct manifest parsed = {0};
    bool ok = manifest_parse(&parsed, text, err) && parsed.first != NULL &&
              parsed.first->kind == MANIFEST_MAP && parsed.first->num == 1;
    if (ok) {
        const struct manifest_node *pair = parsed.first->first;
        ok = render_quoted(out, span_of(pair->key->text, pair->key->len)) &&
             buf_append_text(out, ": ") && render_json(out, pair, (struct render_layout){0});
    }
    manifest_fini(&parsed);
    return ok;
}

static bool restore(const struct manifest_node *kept, struct manifest_node *node, struct span text,
                    struct edit_list *edits, struct err *err) {
    const char *column = kept->kind == MANIFEST_LIST && kept->num == 2 ? kept->first->text : "";
    size_t from = strtoul(column, NULL, 10);
    if (*column == '\0' || from > COLUMN_MAX || node == NULL || node->key == NULL) {
        return ERR_SET(err, ERR_INPUT,
                       "the annotation " MARK_ORIGINAL
                       " does not fit to the pod: one of them has been changed");
    }
    struct span original = span_of(kept->last->text, kept->last->len);
    size_t start = node->key->start;
    size_t to = start - edit_line_start(text, start);
    struct buf put = {0};
    // Column 0: it came from between brackets. (A pair of block YAML is never there, in a pod.)
    bool ok = node->parent->is_flow && from > 0
                  ? put_as_json(&put, original, err)
                  : put_shifted(&put, original, from, from == 0 ? 0 : to);
    if (!ok) {
        buf_fini(&put);
        return ERR_SET(err, ERR_INPUT, "what " MARK_ORIGINAL " keeps cannot be put back");
    }
    return edit_add(edits, start, node->end - start, &put, err);
}

bool original_restore(const struct original *original, struct manifest_node *pod, struct span text,
                      struct edit_list *edits, struct err *err) {
    const struct manifest_node *pair =
        original->kept.first == NULL ? NULL : original->kept.first->first;
    for (; pair != NULL; pair = pair->next) {
        if (!restore(pair, resolve(pod, pair->key->text), text, edits, err)) {
            return false;
        }
    }
    return true;
}
