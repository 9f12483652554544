#include "agent/inject/removal.h"

#include <stddef.h>
#include <string.h>

#include "agent/inject/mark.h"
#include "agent/inject/original.h"

struct remover {
    struct manifest_node *pod;
    struct span text;
    struct original original;
    struct edit_list *edits;
    struct err *err;
};

typedef bool ours_fn(const struct manifest_node *child);

// --- marking what is ours ------------------------------------------------------------------------

static bool is_our_annotation(const struct manifest_node *child) {
    return child->key != NULL && (mark_is_annotation(child->key->text) ||
                                  (strcmp(child->key->text, MARK_DEFAULT_CONTAINER) == 0 &&
                                   mark_is_added(child->parent, MARK_DEFAULT)));
}

// Marks our children of a collection; and the collection, when it holds nothing else: it was made
// for them. What the original will replace is left to that.
static void mark(const struct remover *remover, struct manifest_node *collection,
                 ours_fn *is_ours) {
    if (collection == NULL || collection->num == 0 ||
        original_covers(&remover->original, remover->pod, collection)) {
        return;
    }
    size_t num_marked = 0;
    for (struct manifest_node *child = collection->first; child != NULL; child = child->next) {
        child->is_marked = is_ours(child);
        num_marked += child->is_marked ? 1 : 0;
    }
    collection->is_marked = num_marked == collection->num;
}

static bool is_marked(const struct manifest_node *child) {
    return child->is_marked;
}

static void mark_annotations(const struct remover *remover) {
    struct manifest_node *metadata = manifest_find(remover->pod, "metadata");
    if (!original_covers(&remover->original, remover->pod, metadata)) {
        mark(remover, manifest_find(metadata, "annotations"), is_our_annotation);
        mark(remover, metadata, is_marked);
    }
}

static void mark_shared_processes(const struct remover *remover, const struct manifest_node *spec) {
    struct manifest_node *shares = manifest_find(spec, "shareProcessNamespace");
    if (shares != NULL &&
        mark_is_added(manifest_at(remover->pod, "metadata/annotations"), MARK_SHARES)) {
        shares->is_marked = true;
    }
}

static struct manifest_node *first_of(const struct manifest_node *list) {
    return list != NULL && list->kind == MANIFEST_LIST ? list->first : NULL;
}

static void mark_in_containers(const struct remover *remover, const struct manifest_node *list) {
    for (struct manifest_node *at = first_of(list); at != NULL; at = at->next) {
        mark(remover, manifest_find(at, "env"), mark_is_ours);
        mark(remover, manifest_find(at, "volumeMounts"), mark_is_ours);
    }
}

// --- cutting -------------------------------------------------------------------------------------

static size_t child_start(const struct manifest_node *child) {
    return child->key != NULL ? child->key->start : child->start;
}

static bool cut(const struct remover *remover, size_t start, size_t end) {
    struct buf nothing = {0};
    return edit_add(remover->edits, start, end - start, &nothing, remover->err);
}

// Whole lines. Where they are the last of a text that does not end in a newline, the one before
// them goes.
static bool cut_lines(const struct remover *remover, const struct manifest_node *child) {
    struct span text = remover->text;
    size_t start = edit_line_start(text, child_start(child));
    size_t end = edit_line_end(text, child->end);
    if (end == text.len && text.ptr[end - 1] != '\n' && start > 0) {
        start -= start > 1 && text.ptr[start - 2] == '\r' ? 2 : 1;
    }
    return cut(remover, start, end);
}

// Lines of its own; a list's item has its dash before it.
static bool is_alone(const struct remover *remover, const struct manifest_node *child) {
    return !child->parent->is_flow &&
           (child->key == NULL || edit_is_alone(remover->text, child_start(child)));
}

static const struct manifest_node *next_kept(const struct manifest_node *child) {
    while (child != NULL && child->is_marked) {
        child = child->next;
    }
    return child;
}

// Cuts the marked children out of a collection that keeps others.
static bool cut_marked(const struct remover *remover, const struct manifest_node *collection) {
    const struct manifest_node *kept = NULL;
    const struct manifest_node *child = collection == NULL ? NULL : collection->first;
    for (; child != NULL; child = child->next) {
        bool ok = true;
        if (!child->is_marked) {
            kept = child;
        } else if (is_alone(remover, child)) {
            ok = cut_lines(remover, child);
        } else if (next_kept(child) != NULL) {
            ok = cut(remover, child_start(child), child_start(child->next));
        } else {
            return cut(remover, kept == NULL ? child_start(child) : kept->end,
                       collection->last->end);
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

// The same for a collection that may be marked itself: then it goes with its parent's.
static bool cut_in(const struct remover *remover, const struct manifest_node *collection) {
    return collection == NULL || collection->is_marked || cut_marked(remover, collection);
}

static bool cut_in_containers(const struct remover *remover, const struct manifest_node *list) {
    for (const struct manifest_node *at = first_of(list); at != NULL; at = at->next) {
        if (!at->is_marked &&
            (!cut_marked(remover, at) || !cut_in(remover, manifest_find(at, "env")) ||
             !cut_in(remover, manifest_find(at, "volumeMounts")))) {
            return false;
        }
    }
    return true;
}

static bool cut_pod(const struct remover *remover, const struct manifest_node *spec) {
    const struct manifest_node *metadata = manifest_find(remover->pod, "metadata");
    const struct manifest_node *init = manifest_find(spec, "initContainers");
    return cut_marked(remover, remover->pod) && cut_marked(remover, spec) &&
           cut_in(remover, metadata) &&
           (metadata == NULL || metadata->is_marked ||
            cut_in(remover, manifest_find(metadata, "annotations"))) &&
           cut_in(remover, init) && cut_in(remover, manifest_find(spec, "containers")) &&
           cut_in(remover, manifest_find(spec, "volumes")) &&
           (init == NULL || init->is_marked || cut_in_containers(remover, init)) &&
           cut_in_containers(remover, manifest_find(spec, "containers"));
}

bool removal_plan(struct manifest_node *pod, struct span text, struct edit_list *edits,
                  struct err *err) {
    struct remover remover = {.pod = pod, .text = text, .edits = edits, .err = err};
    if (!original_parse(&remover.original, pod, err)) {
        return false;
    }
    const struct manifest_node *spec = manifest_find(pod, "spec");
    mark_annotations(&remover);
    mark_shared_processes(&remover, spec);
    mark(&remover, manifest_find(spec, "initContainers"), mark_is_ours);
    mark(&remover, manifest_find(spec, "containers"), mark_is_ours);
    mark(&remover, manifest_find(spec, "volumes"), mark_is_ours);
    mark_in_containers(&remover, manifest_find(spec, "initContainers"));
    mark_in_containers(&remover, manifest_find(spec, "containers"));
    bool ok = cut_pod(&remover, spec) && original_restore(&remover.original, pod, text, edits, err);
    original_fini(&remover.original);
    return ok;
}
