#include "agent/config/config_paths.h"

#include <stdio.h>
#include <string.h>

#include "agent/config/options.h"
#include "agent/config/text_checks.h"
#include "agent/config/url.h"

#define KEY_MAX 256

struct walk {
    config_path_fn *each;
    void *arg;
};

static const char *after_lead(const char *text, const char *lead) {
    size_t len = strlen(lead);
    return strncmp(text, lead, len) == 0 ? text + len : NULL;
}

static bool is_path(const struct option_row *row) {
    return row->check == text_checks_path || row->check == text_checks_plain_path ||
           row->check == text_checks_public_roots;
}

// NULL: the text of this row is no path, or not this time.
static const char *path_in(const struct option_row *row, const char *text) {
    const char *path = NULL;
    if (is_path(row)) {
        path = text;
    } else if (row->check == text_checks_secret_ref) {
        path = after_lead(text, "file:");
    } else if (row->check == url_check) {
        path = after_lead(text, "file://");
    }
    return path != NULL && path[0] == '/' ? path : NULL;
}

static bool visit_section(struct walk *walk, const struct option_section *section,
                          const void *object, const char *key);

static bool visit_value(struct walk *walk, const struct option_row *row, const void *field,
                        const char *key) {
    const char *text;
    if (row->type == OPTION_SECTION) {
        return visit_section(walk, row->section, field, key);
    }
    memcpy(&text, field, sizeof(text));
    const char *path = text == NULL ? NULL : path_in(row, text);
    const struct config_path found = {.key = key, .path = path, .is_written = row->is_written};
    return path == NULL || walk->each(walk->arg, &found);
}

static bool visit_list(struct walk *walk, const struct option_row *row, const void *object,
                       const char *key) {
    const char *item;
    char item_key[KEY_MAX];
    memcpy(&item, options_field_of(row, object), sizeof(item));
    size_t num = options_list_num(row, object);
    for (size_t i = 0; i < num; i++, item += row->size) {
        (void)snprintf(item_key, sizeof(item_key), "%.230s[%zu]", key, i);
        if (!visit_value(walk, row, item, item_key)) {
            return false;
        }
    }
    return true;
}

static bool visit_section(struct walk *walk, const struct option_section *section,
                          const void *object, const char *key) {
    char row_key[KEY_MAX];
    for (const struct option_row *row = section->rows; row->key != NULL; row++) {
        bool holds = row->type == OPTION_SECTION || row->type == OPTION_TEXT;
        if (!holds || !options_is_set(row, object)) {
            continue;
        }
        (void)snprintf(row_key, sizeof(row_key), "%.180s%s%.60s", key, key[0] == '\0' ? "" : ".",
                       row->key);
        if (row->is_list ? !visit_list(walk, row, object, row_key)
                         : !visit_value(walk, row, options_field_of(row, object), row_key)) {
            return false;
        }
    }
    return true;
}

bool config_paths_each(const struct config *config, config_path_fn *each, void *arg) {
    struct walk walk = {.each = each, .arg = arg};
    return visit_section(&walk, &options_root, config, "");
}
