#include "agent/inject/workload.h"

#include <stddef.h>
#include <string.h>

enum { LIST_DEPTH_MAX = 4 };

static const struct {
    const char *kind;
    const char *pod; // the path of the pod's metadata and spec
} KINDS[] = {
    {"Pod", ""},
    {"Deployment", "spec/template"},
    {"StatefulSet", "spec/template"},
    {"DaemonSet", "spec/template"},
    {"ReplicaSet", "spec/template"},
    {"ReplicationController", "spec/template"},
    {"Job", "spec/template"},
    {"CronJob", "spec/jobTemplate/spec/template"},
    {"PodTemplate", "template"},
    {"Rollout", "spec/template"}, // Argo's Deployment
};

static const char *text_or(const char *text, const char *other) {
    return text == NULL || *text == '\0' ? other : text;
}

static bool visit_object(struct manifest_node *object, const char *kind, workload_fn *visit,
                         void *context) {
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++) {
        if (strcmp(kind, KINDS[i].kind) != 0) {
            continue;
        }
        struct manifest_node *pod = manifest_at(object, KINDS[i].pod);
        const struct manifest_node *metadata = manifest_find(object, "metadata");
        struct workload workload = {
            .kind = KINDS[i].kind,
            .namespace = text_or(manifest_text(metadata, "namespace"), ""),
            .name = text_or(manifest_text(metadata, "name"),
                            text_or(manifest_text(metadata, "generateName"), "-")),
            .object = object,
            .pod = pod,
        };
        return pod == NULL || pod->kind != MANIFEST_MAP || visit(&workload, context);
    }
    return true;
}

// A List, any typed list, and what kustomize hands to a function (ResourceList).
static bool is_list(const char *kind) {
    size_t len = strlen(kind);
    return len >= 4 && strcmp(kind + len - 4, "List") == 0;
}

static bool visit_at_depth(struct manifest_node *object, workload_fn *visit, void *context,
                           unsigned depth) {
    const char *kind = manifest_text(object, "kind");
    if (kind == NULL) {
        return true;
    }
    if (!is_list(kind)) {
        return visit_object(object, kind, visit, context);
    }
    const struct manifest_node *items = manifest_find(object, "items");
    struct manifest_node *item =
        items != NULL && items->kind == MANIFEST_LIST && depth < LIST_DEPTH_MAX ? items->first
                                                                                : NULL;
    for (; item != NULL; item = item->next) {
        if (!visit_at_depth(item, visit, context, depth + 1)) {
            return false;
        }
    }
    return true;
}

bool workload_visit(struct manifest_node *document, workload_fn *visit, void *context) {
    return visit_at_depth(document, visit, context, 0);
}
