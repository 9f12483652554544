#include "agent/config/config_read.h"

#include <stdlib.h>
#include <string.h>

#include "agent/config/values.h"
#include "base/check.h"

static void refuse_not_yet(const struct yaml_tree_node *key, const struct option_row *row,
                           struct report *report) {
    if (row->meaning != NULL) {
        report_add(report, REPORT_ERROR, key->place, "%s: %s", row->key, row->meaning);
        return;
    }
    report_add(report, REPORT_ERROR, key->place,
               "%s is not supported yet: this build does not have it", row->key);
}

// A key that belongs one level deeper: `networks` beside `match` instead of inside it. NULL when it
// belongs nowhere there, or in several places.
static const struct option_row *find_deeper(const struct option_section *section, const char *key) {
    const struct option_row *found = NULL;
    for (const struct option_row *row = section->rows; row->key != NULL; row++) {
        if (row->type != OPTION_SECTION || row->is_list ||
            options_find(row->section, key) == NULL) {
            continue;
        }
        if (found != NULL) {
            return NULL;
        }
        found = row;
    }
    return found;
}

static void refuse_unknown(const struct yaml_tree_node *key, const struct option_section *section,
                           struct report *report) {
    char excerpt[REPORT_EXCERPT_MAX];
    const char *shown = report_excerpt(key->text, excerpt);
    const struct option_row *deeper = find_deeper(section, key->text);
    const struct option_row *nearest = options_nearest(section, key->text);
    if (deeper != NULL) {
        report_add(report, REPORT_ERROR, key->place,
                   "unknown key \"%s\" here; it belongs inside \"%s\"", shown, deeper->key);
    } else if (nearest != NULL) {
        report_add(report, REPORT_ERROR, key->place, "unknown key \"%s\"; did you mean \"%s\"?",
                   shown, nearest->key);
    } else {
        report_add(report, REPORT_ERROR, key->place, "unknown key \"%s\"", shown);
    }
}

static bool check_keys(const struct option_section *section, const struct yaml_tree_node *node,
                       struct report *report) {
    bool ok = true;
    for (const struct yaml_tree_node *child = node->first; child != NULL; child = child->next) {
        const struct option_row *row = options_find(section, child->key->text);
        if (child->key->is_bad) {
            ok = false; // said already
        } else if (row == NULL) {
            refuse_unknown(child->key, section, report);
            ok = false;
        } else if (row->type == OPTION_NOT_YET) {
            refuse_not_yet(child->key, row, report);
            ok = false;
        }
    }
    return ok;
}

static bool refuse_kind(const struct option_row *row, const struct yaml_tree_node *node,
                        const char *wanted, struct report *report) {
    if (!yaml_tree_is_null(node)) {
        report_add(report, REPORT_ERROR, node->place, "%s has to be %s, not %s", row->key, wanted,
                   yaml_tree_kind_name(node));
    } else if (row->is_list) {
        report_add(report, REPORT_ERROR, node->place, "%s has no value; an empty list is []",
                   row->key);
    } else {
        report_add(report, REPORT_ERROR, node->place, "%s has no value", row->key);
    }
    return false;
}

static bool read_scalar(const struct option_row *row, const struct yaml_tree_node *node,
                        void *field, struct report *report) {
    if (node->is_bad) {
        return false; // said already
    }
    if (node->kind != YAML_TREE_SCALAR || yaml_tree_is_null(node)) {
        return refuse_kind(row, node, "one value", report);
    }
    if (node->has_lines && !row->takes_lines) {
        report_add(report, REPORT_ERROR, node->place, YAML_TREE_NOT_ONE_LINE);
        return false;
    }
    return values_read(row, node, field, report);
}

static bool read_item(const struct option_row *row, struct yaml_tree_node *node, void *item,
                      struct report *report) {
    if (row->type != OPTION_SECTION) {
        return read_scalar(row, node, item, report);
    }
    if (row->section->line_offset != 0) {
        memcpy((char *)item + row->section->line_offset, &node->place.line,
               sizeof node->place.line);
    }
    if (row->section->scalar_key != NULL && node->kind == YAML_TREE_SCALAR) {
        const struct option_row *only = options_find(row->section, row->section->scalar_key);
        return read_scalar(only, node, options_field(only, item), report);
    }
    if (node->kind != YAML_TREE_MAPPING) {
        return !node->is_bad && refuse_kind(row, node, "a list of mappings", report);
    }
    return config_read_section(row->section, node, item, report);
}

static bool read_list(const struct option_row *row, struct yaml_tree_node *node, void *object,
                      struct report *report) {
    if (node->kind != YAML_TREE_SEQUENCE) {
        return !node->is_bad && refuse_kind(row, node, "a list", report);
    }
    if (node->num > row->list_max) {
        report_add(report, REPORT_ERROR, node->place, "%s has %zu items; at most %zu are allowed",
                   row->key, node->num, row->list_max);
        return false;
    }
    char *items = node->num == 0 ? NULL : calloc(node->num, row->size);
    if (items == NULL && node->num > 0) {
        report->out_of_memory = true;
        return false;
    }
    memcpy(options_field(row, object), &items, sizeof items);
    memcpy((char *)object + row->num_offset, &node->num, sizeof node->num);
    bool ok = !node->is_bad;
    char *item = items;
    for (struct yaml_tree_node *child = node->first; child != NULL; child = child->next) {
        if (!read_item(row, child, item, report)) {
            child->is_bad = true;
            ok = false;
        }
        item += row->size;
    }
    return ok;
}

static void set_has(const struct option_row *row, void *object) {
    if (row->has_offset != 0) {
        *((bool *)object + row->has_offset) = true;
    }
}

static bool is_off(const struct option_row *row, const struct yaml_tree_node *node) {
    return row->can_be_off && !node->is_bad &&
           ((node->kind == YAML_TREE_SEQUENCE && node->num == 0) ||
            (node->kind == YAML_TREE_SCALAR && !node->is_plain && node->len == 0));
}

static bool read_nested(const struct option_row *row, struct yaml_tree_node *node, void *object,
                        struct report *report) {
    if (node == NULL || yaml_tree_is_null(node)) {
        return config_read_section(row->section, NULL, object, report);
    }
    set_has(row, object);
    if (node->kind != YAML_TREE_MAPPING) {
        (void)(node->is_bad || refuse_kind(row, node, "a mapping", report));
        node->is_bad = true;
        return false;
    }
    return config_read_section(row->section, node, object, report);
}

static bool read_given(const struct option_row *row, struct yaml_tree_node *node, void *object,
                       struct report *report) {
    if (is_off(row, node)) {
        return true;
    }
    set_has(row, object);
    return row->is_list ? read_list(row, node, object, report)
                        : read_scalar(row, node, options_field(row, object), report);
}

// Defaults are YAML like any other value, so that the page shows what is really used.
static bool read_fallback(const struct option_row *row, void *object, struct report *report) {
    struct report own;
    report_init(&own);
    struct yaml_tree tree;
    bool ok = yaml_tree_parse(&tree, span_of_text(row->fallback), &own) &&
              read_given(row, tree.root, object, &own);
    CHECK(ok || own.out_of_memory);
    report->out_of_memory |= own.out_of_memory;
    yaml_tree_fini(&tree);
    report_fini(&own);
    return ok;
}

static bool read_row(const struct option_row *row, struct yaml_tree_node *parent, void *object,
                     struct report *report) {
    struct yaml_tree_node *node = yaml_tree_find(parent, row->key);
    if (row->type == OPTION_NOT_YET) {
        return true; // check_keys has refused it
    }
    if (row->type == OPTION_SECTION && !row->is_list) {
        return read_nested(row, node, object, report);
    }
    if (node != NULL) {
        bool ok = read_given(row, node, object, report);
        node->is_bad |= !ok;
        return ok;
    }
    if (row->is_required) {
        report_add(report, REPORT_ERROR, parent->place, "\"%s\" is missing here", row->key);
        return false;
    }
    return row->fallback == NULL || read_fallback(row, object, report);
}

bool config_read_section(const struct option_section *section, struct yaml_tree_node *node,
                         void *object, struct report *report) {
    bool ok = node == NULL || (check_keys(section, node, report) && !node->is_bad);
    for (const struct option_row *row = section->rows; row->key != NULL; row++) {
        ok = read_row(row, node, object, report) && ok;
    }
    if (!ok && node != NULL) {
        node->is_bad = true;
    }
    return ok;
}
