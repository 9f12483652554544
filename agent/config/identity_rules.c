#include "agent/config/identity_rules.h"

#include <string.h>

#include "agent/config/config.h"

#define OF(source) (1U << (source))

// A key of `identity` that only some sources have.
struct key_rule {
    const char *key;
    unsigned sources; // OF(...)
};

static const struct key_rule key_rules[] = {
    {"endpoint", OF(IDENTITY_WORKLOAD_API) | OF(IDENTITY_SDS)},
    {"hint", OF(IDENTITY_WORKLOAD_API)},
    {"lifetime", OF(IDENTITY_ISTIO_CA)},
    {"sds", OF(IDENTITY_SDS)},
    {"istioCa", OF(IDENTITY_ISTIO_CA)},
    {"files", OF(IDENTITY_FILES)},
};

// A key that a source cannot do without.
struct needed_key {
    enum identity_source source;
    const char *section;
    const char *key;
    const char *unless; // with this key of `identity` it can; may be NULL
};

static const struct needed_key needed_keys[] = {
    {IDENTITY_ISTIO_CA, "istioCa", "address", NULL},
    {IDENTITY_ISTIO_CA, "istioCa", "rootsFile", NULL},
    {IDENTITY_ISTIO_CA, "istioCa", "tokenFile", NULL},
    {IDENTITY_FILES, "files", "certificate", NULL},
    {IDENTITY_FILES, "files", "key", NULL},
    {IDENTITY_FILES, "files", "bundle", "stateDirectory"},
};

static void check_foreign_keys(enum identity_source source, const struct yaml_tree_node *identity,
                               struct report *report) {
    for (size_t i = 0; i < sizeof key_rules / sizeof *key_rules; i++) {
        const struct yaml_tree_node *node = yaml_tree_find(identity, key_rules[i].key);
        if (node != NULL && (key_rules[i].sources & OF(source)) == 0) {
            report_add(report, REPORT_ERROR, node->key->place,
                       "%s: source: %s does not use it; remove it or choose another source",
                       key_rules[i].key, identity_source_name(source));
        }
    }
}

static void check_needed_keys(enum identity_source source, const struct yaml_tree_node *identity,
                              struct report *report) {
    for (size_t i = 0; i < sizeof needed_keys / sizeof *needed_keys; i++) {
        const struct needed_key *needed = &needed_keys[i];
        const struct yaml_tree_node *section = yaml_tree_find(identity, needed->section);
        bool has_section = section != NULL && section->kind == YAML_TREE_MAPPING;
        if (needed->source != source || yaml_tree_find(section, needed->key) != NULL ||
            (section != NULL && section->is_bad)) {
            continue;
        }
        if (needed->unless != NULL && yaml_tree_find(identity, needed->unless) != NULL) {
            continue;
        }
        report_add(report, REPORT_ERROR, has_section ? section->place : identity->place,
                   "\"%s.%s\" is missing here: source: %s needs it", needed->section, needed->key,
                   identity_source_name(source));
    }
}

void identity_rules_check(const struct config *config, const struct yaml_tree_node *root,
                          struct report *report) {
    const struct yaml_tree_node *identity = yaml_tree_find(root, "identity");
    const struct yaml_tree_node *source = yaml_tree_find(identity, "source");
    if (identity == NULL || identity->kind != YAML_TREE_MAPPING ||
        (source != NULL && source->is_bad)) {
        return;
    }
    check_foreign_keys(config->identity.source, identity, report);
    check_needed_keys(config->identity.source, identity, report);
}
