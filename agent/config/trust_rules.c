#include "agent/config/trust_rules.h"

#include <string.h>
#include <strings.h>

// Whether `path` is `dir` or below it.
static bool is_within(const char *path, const char *dir) {
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/') {
        len--;
    }
    return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0' || len == 1);
}

static const struct yaml_tree_node *first_item(const struct yaml_tree_node *list) {
    return list == NULL || list->kind != YAML_TREE_SEQUENCE ? NULL : list->first;
}

static struct report_place key_place(const struct yaml_tree_node *item, const char *key) {
    const struct yaml_tree_node *node = yaml_tree_find(item, key);
    return node == NULL ? item->place : node->key->place;
}

// What comes out must not go in again: nothing could ever be removed.
static void check_loop(const struct config_trust_store *store, const char *path,
                       const struct yaml_tree_node *node, const char *key, struct report *report) {
    if (!node->is_bad && is_within(path, store->output)) {
        report_add(report, REPORT_ERROR, node->place,
                   "%s: it is in trustStore.output, so what is written would be read again", key);
    }
}

static void check_paths(const struct config_trust_store *store,
                        const struct yaml_tree_node *section, struct report *report) {
    const struct yaml_tree_node *roots = yaml_tree_find(section, "publicRoots");
    const struct yaml_tree_node *item = first_item(yaml_tree_find(section, "sources"));
    for (size_t i = 0; item != NULL && i < store->sources.num; i++, item = item->next) {
        if (!item->is_bad) {
            check_loop(store, store->sources.items[i], item, "sources", report);
        }
    }
    if (roots != NULL && store->public_roots != NULL) {
        check_loop(store, store->public_roots, roots, "publicRoots", report);
    }
}

static void check_origin(const struct trust_certificate *certificate,
                         const struct yaml_tree_node *item, struct report *report) {
    unsigned num =
        (certificate->file != NULL) + (certificate->pem != NULL) + (certificate->url != NULL);
    if (num != 1) {
        report_add(report, REPORT_ERROR, item->place,
                   "%s has %s of file, pem and url; it needs exactly one", certificate->name,
                   num == 0 ? "none" : "several");
        return;
    }
    if (certificate->auto_sync && certificate->pem != NULL) {
        report_add(report, REPORT_ERROR, key_place(item, "autoSync"),
                   "autoSync: what stands in the configuration cannot change by itself");
    }
    if (certificate->has_sync_interval && (certificate->url == NULL || !certificate->auto_sync)) {
        report_add(report, REPORT_ERROR, key_place(item, "syncInterval"),
                   "syncInterval: only a url with autoSync: true is fetched again");
    }
}

static void check_certificates(const struct config_trust_store *store,
                               const struct yaml_tree_node *section, struct report *report) {
    const struct yaml_tree_node *item = first_item(yaml_tree_find(section, "certificates"));
    for (size_t i = 0; item != NULL && i < store->num_certificates; i++, item = item->next) {
        const struct trust_certificate *certificate = &store->certificates[i];
        if (item->is_bad) {
            continue;
        }
        check_origin(certificate, item, report);
        if (certificate->file != NULL) {
            check_loop(store, certificate->file, yaml_tree_find(item, "file"), "file", report);
        }
        for (size_t j = 0; j < i; j++) {
            const struct trust_certificate *other = &store->certificates[j];
            if (other->name != NULL && strcasecmp(other->name, certificate->name) == 0) {
                report_add(report, REPORT_ERROR, key_place(item, "name"),
                           "name: there is a certificate %s in line %u already", other->name,
                           other->line);
                break;
            }
        }
    }
}

void trust_rules_check(const struct config *config, const struct yaml_tree_node *root,
                       struct report *report) {
    const struct yaml_tree_node *section = yaml_tree_find(root, "trustStore");
    const struct config_trust_store *store = &config->trust_store;
    if (section == NULL || section->kind != YAML_TREE_MAPPING || store->output == NULL) {
        return;
    }
    check_paths(store, section, report);
    check_certificates(store, section, report);
    if (strcmp(store->public_roots == NULL ? "" : store->public_roots, "none") == 0) {
        report_add(report, REPORT_WARNING, yaml_tree_find(section, "publicRoots")->place,
                   "publicRoots: the application will trust no public server");
    }
}
