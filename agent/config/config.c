#include "agent/config/config.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/config/config_read.h"
#include "agent/config/config_rules.h"
#include "agent/config/options.h"
#include "agent/config/report.h"
#include "agent/config/yaml_tree.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/file.h"

#define TEXT_MAX ((size_t)4 << 20)

// What config_parse hands out is the inside of one of these.
struct shared_config {
    struct config config; // first: see shared_of
    atomic_uint num_refs;
};

static struct shared_config *shared_of(struct config *config) {
    return (struct shared_config *)(void *)config;
}

struct config *config_ref(struct config *config) {
    atomic_fetch_add_explicit(&shared_of(config)->num_refs, 1, memory_order_relaxed);
    return config;
}

void config_unref(struct config *config) {
    if (config == NULL) {
        return;
    }
    struct shared_config *shared = shared_of(config);
    unsigned before = atomic_fetch_sub_explicit(&shared->num_refs, 1, memory_order_acq_rel);
    CHECK(before > 0);
    if (before == 1) {
        options_fini(&options_root, config);
        free(shared);
    }
}

// Every rule has a name to be called by in logs.
static bool name_rules(struct config *config) {
    for (size_t i = 0; i < config->outbound.num_rules; i++) {
        struct outbound_rule *rule = &config->outbound.rules[i];
        if (rule->name == NULL && asprintf(&rule->name, "destinations[%zu]", i) < 0) {
            rule->name = NULL;
            return false;
        }
    }
    return true;
}

static void fill(struct config *config, struct span text, struct report *report) {
    struct yaml_tree tree;
    if (!yaml_tree_parse(&tree, text, report)) {
        return;
    }
    struct yaml_tree_node *root = tree.root;
    if (root != NULL && yaml_tree_is_null(root)) {
        root = NULL; // nothing but comments
    }
    if (root != NULL && root->kind != YAML_TREE_MAPPING) {
        report_add(report, REPORT_ERROR, root->place,
                   "a configuration is a mapping of keys to values, not %s",
                   yaml_tree_kind_name(root));
    } else {
        (void)!config_read_section(&options_root, root, config, report); // `report` knows
        config_rules_check(config, root, report);
    }
    yaml_tree_fini(&tree);
}

struct config *config_parse(const char *name, struct span text, struct buf *errors,
                            struct buf *warnings) {
    struct report report;
    report_init(&report);
    struct shared_config *shared = calloc(1, sizeof *shared);
    if (shared == NULL) {
        report.out_of_memory = true;
    } else if (text.len > TEXT_MAX) {
        report_add(&report, REPORT_ERROR, (struct report_place){0},
                   "has %zu bytes; a configuration has at most %zu", text.len, TEXT_MAX);
    } else {
        fill(&shared->config, text, &report);
        report.out_of_memory |= !name_rules(&shared->config);
    }
    bool ok = report_render(&report, name, errors, warnings) && !report_has_errors(&report);
    report_fini(&report);
    if (shared == NULL) {
        return NULL;
    }
    atomic_init(&shared->num_refs, 1);
    if (!ok) {
        config_unref(&shared->config);
        return NULL;
    }
    return &shared->config;
}

struct config *config_load(const char *path, struct buf *errors, struct buf *warnings) {
    struct buf text = {0};
    struct err err = {0};
    if (!file_read(path, TEXT_MAX, &text, &err)) {
        (void)!buf_printf(errors, "%s\n", err.msg); // without memory, NULL has to do
        buf_fini(&text);
        return NULL;
    }
    // Rather a file that is being written, or was to a full disk, than the wish for all defaults: a
    // reload would forget who is allowed.
    if (text.len == 0) {
        (void)!buf_printf(errors, "%s: the file is empty; all defaults are {}\n", path);
        return NULL;
    }
    struct config *config = config_parse(path, buf_span(&text), errors, warnings);
    buf_fini(&text);
    return config;
}
