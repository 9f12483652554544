#include "agent/inject/mark.h"

#include <stddef.h>
#include <string.h>

static const char *const ANNOTATIONS[] = {MARK_INJECTED, MARK_CONFIG, MARK_ORIGINAL, MARK_ADDED};
static const char *const NAMES[] = {MARK_AGENT, MARK_INTERCEPT, MARK_CONFIG_VOLUME,
                                    MARK_IDENTITY_VOLUME, MARK_TRUST_VOLUME};
#define NUM(array) (sizeof(array) / sizeof((array)[0]))

static bool is_one_of(const char *const *words, size_t num, const char *text) {
    for (size_t i = 0; text != NULL && i < num; i++) {
        if (strcmp(words[i], text) == 0) {
            return true;
        }
    }
    return false;
}

bool mark_is_annotation(const char *key) {
    return is_one_of(ANNOTATIONS, NUM(ANNOTATIONS), key);
}

bool mark_is_added(const struct manifest_node *annotations, const char *word) {
    const char *added = manifest_text(annotations, MARK_ADDED);
    return added != NULL && strstr(added, word) != NULL; // no word is a part of another one
}

bool mark_is_ours(const struct manifest_node *item) {
    // A variable has a value; ours all point into the trust store.
    const char *value = manifest_text(item, "value");
    if (value != NULL) {
        return strstr(value, MARK_TRUST_PATH) != NULL;
    }
    const char *name = manifest_text(item, "name");
    return is_one_of(NAMES, NUM(NAMES), name) ||
           (name != NULL && strncmp(name, MARK_CERTS_VOLUME, strlen(MARK_CERTS_VOLUME)) == 0);
}

static const char *find_in(const struct manifest_node *list) {
    if (list == NULL || list->kind != MANIFEST_LIST) {
        return NULL;
    }
    for (const struct manifest_node *item = list->first; item != NULL; item = item->next) {
        if (mark_is_ours(item)) {
            return manifest_text(item, "name");
        }
    }
    return NULL;
}

static const char *find_in_containers(const struct manifest_node *list) {
    const char *found = find_in(list);
    if (list == NULL || list->kind != MANIFEST_LIST) {
        return NULL;
    }
    for (const struct manifest_node *item = list->first; found == NULL && item != NULL;
         item = item->next) {
        found = find_in(manifest_find(item, "env"));
        found = found != NULL ? found : find_in(manifest_find(item, "volumeMounts"));
    }
    return found;
}

const char *mark_find_leftover(struct manifest_node *pod) {
    struct manifest_node *spec = manifest_find(pod, "spec");
    const char *found = find_in(manifest_find(spec, "volumes"));
    found = found != NULL ? found : find_in_containers(manifest_find(spec, "initContainers"));
    return found != NULL ? found : find_in_containers(manifest_find(spec, "containers"));
}
