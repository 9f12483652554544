#include "agent/config/options.h"

#include <stdlib.h>
#include <string.h>

#include "agent/config/config_lists.h"

#define KEY_MAX 40 // no key of the table is longer

const struct option_row *options_find(const struct option_section *section, const char *key) {
    for (const struct option_row *row = section->rows; row->key != NULL; row++) {
        if (strcmp(row->key, key) == 0) {
            return row;
        }
    }
    return NULL;
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

// Levenshtein distance without regard to case; both are at most KEY_MAX bytes.
static size_t distance(const char *a, const char *b) {
    size_t row[KEY_MAX + 1];
    size_t len = strlen(b);
    for (size_t j = 0; j <= len; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 1; j <= len; j++) {
            size_t replaced = diagonal + (lower(a[i]) != lower(b[j - 1]));
            diagonal = row[j];
            row[j] = least(replaced, 1 + least(row[j], row[j - 1]));
        }
    }
    return row[len];
}

const struct option_row *options_nearest(const struct option_section *section, const char *key) {
    size_t len = strlen(key);
    if (len == 0 || len > KEY_MAX) {
        return NULL;
    }
    const struct option_row *best = NULL;
    size_t best_distance = len / 3 + 2; // this far is not near any more
    for (const struct option_row *row = section->rows; row->key != NULL; row++) {
        size_t far = row->type == OPTION_NOT_YET ? len : distance(key, row->key);
        if (far < best_distance && far < strlen(row->key)) {
            best = row;
            best_distance = far;
        }
    }
    return best;
}

void *options_field(const struct option_row *row, void *object) {
    return (char *)object + row->offset;
}

const void *options_field_of(const struct option_row *row, const void *object) {
    return (const char *)object + row->offset;
}

size_t options_list_num(const struct option_row *row, const void *object) {
    size_t num = 0;
    memcpy(&num, (const char *)object + row->num_offset, sizeof num);
    return num;
}

bool options_is_set(const struct option_row *row, const void *object) {
    if (row->has_offset != 0) {
        return *((const bool *)object + row->has_offset);
    }
    if (row->type != OPTION_TEXT || row->is_list) {
        return true;
    }
    const char *text = NULL;
    memcpy(&text, options_field_of(row, object), sizeof text);
    return text != NULL;
}

// What a value owns besides its own bytes.
static void fini_value(const struct option_row *row, void *value) {
    if (row->type == OPTION_SECTION) {
        options_fini(row->section, value);
    } else if (row->type == OPTION_TEXT) {
        free(*(char **)value);
    } else if (row->type == OPTION_PLACE) {
        free(((struct config_place *)value)->host);
    }
}

static void fini_list(const struct option_row *row, void *object) {
    char *items = NULL;
    memcpy(&items, options_field(row, object), sizeof items);
    size_t num = options_list_num(row, object);
    for (size_t i = 0; i < num; i++) {
        fini_value(row, items + i * row->size);
    }
    free(items);
    memset(options_field(row, object), 0, sizeof items);
    memset((char *)object + row->num_offset, 0, sizeof num);
}

void options_fini(const struct option_section *section, void *object) {
    for (const struct option_row *row = section->rows; row->key != NULL; row++) {
        if (row->is_list) {
            fini_list(row, object);
        } else if (row->type == OPTION_SECTION) {
            options_fini(row->section, object);
        } else if (row->type == OPTION_TEXT || row->type == OPTION_PLACE) {
            fini_value(row, options_field(row, object));
            memset(options_field(row, object), 0, row->size);
        }
    }
}
