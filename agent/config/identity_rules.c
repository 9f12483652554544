#include "agent/config/identity_rules.h"

#include "agent/config/config.h"
#include "certmgr/renewal.h"

#define LATEST_PERMILLE 950 // of the lifetime, for the latest renewal
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
    {"rotateAt", OF(IDENTITY_ISTIO_CA)},
    {"rotateJitter", OF(IDENTITY_ISTIO_CA)},
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

// After a failure it is tried again: until the end of what is in force.
static void check_rotation(const struct config_identity *config,
                           const struct yaml_tree_node *identity, struct report *report) {
    const struct yaml_tree_node *at = yaml_tree_find(identity, "rotateAt");
    const struct yaml_tree_node *jitter = yaml_tree_find(identity, "rotateJitter");
    const struct yaml_tree_node *said = at != NULL ? at : jitter;
    uint32_t latest =
        (config->has_rotate_at ? config->rotate_at_permille : RENEWAL_AT_PERMILLE) +
        (config->has_rotate_jitter ? config->rotate_jitter_permille : RENEWAL_JITTER_PERMILLE);
    if (said != NULL && !(at != NULL && at->is_bad) && !(jitter != NULL && jitter->is_bad) &&
        latest > LATEST_PERMILLE) {
        report_add(report, REPORT_ERROR, said->place,
                   "%s: rotateAt and rotateJitter are %g of the lifetime together; at most 0.95 "
                   "leaves time to try again",
                   said->key->text, latest / 1e3);
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
    check_rotation(&config->identity, identity, report);
}
