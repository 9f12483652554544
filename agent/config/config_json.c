// The effective configuration in the shape of the YAML, by the table of options. One of jansson's
// doors. Nothing in a configuration is secret, so nothing is left out.
#include <string.h>

#include <jansson.h>

#include "agent/config/config.h"
#include "agent/config/options.h"
#include "agent/config/values.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"

// Puts `value` (taken, NULL when memory was short) under `key`.
static bool put(json_t *object, const char *key, json_t *value) {
    return json_object_set_new(object, key, value) == 0;
}

static const char *word_for(const struct option_row *row, uint64_t value) {
    const struct option_choice *choice = row->choices;
    while (choice != NULL && choice->word != NULL) {
        if (!choice->not_yet && choice->value == value) {
            return choice->word;
        }
        choice++;
    }
    return NULL;
}

static json_t *render_number(const struct option_row *row, const void *field) {
    uint64_t number = values_number(field, row->size);
    const char *word = word_for(row, number);
    return word == NULL ? json_integer((json_int_t)number) : json_string(word);
}

static json_t *render_duration(const void *field) {
    char text[CLOCK_DURATION_MAX];
    int64_t value;
    memcpy(&value, field, sizeof value);
    clock_duration_format(value, text);
    return json_string(text);
}

static json_t *render_text(const void *field) {
    const char *text;
    memcpy(&text, field, sizeof text);
    return json_string(text);
}

static json_t *render_ports(const void *field) {
    struct port_range range;
    memcpy(&range, field, sizeof range);
    if (range.first == range.last) {
        return json_integer(range.first);
    }
    return json_sprintf("%u-%u", range.first, range.last);
}

static json_t *render_place(const void *field) {
    char text[NETADDR_TEXT_MAX];
    struct config_place place;
    memcpy(&place, field, sizeof place);
    return place.host == NULL ? json_string(netaddr_format(&place.addr, text))
                              : json_sprintf("%s:%u", place.host, place.addr.port);
}

static json_t *render_scalar(const struct option_row *row, const void *field) {
    char text[NETADDR_TEXT_MAX];
    switch (row->type) {
    case OPTION_BOOL:
        return json_boolean(*(const bool *)field);
    case OPTION_NUMBER:
    case OPTION_CHOICE:
        return render_number(row, field);
    case OPTION_FRACTION:
        return json_real((double)values_number(field, row->size) / 1000);
    case OPTION_DURATION:
        return render_duration(field);
    case OPTION_TEXT:
        return render_text(field);
    case OPTION_ADDRESS:
        return json_string(netaddr_format(field, text));
    case OPTION_PLACE:
        return render_place(field);
    case OPTION_PREFIX:
        return json_string(netaddr_prefix_format(field, text));
    case OPTION_PORTS:
        return render_ports(field);
    case OPTION_SECTION:
    case OPTION_NOT_YET:
        break;
    }
    CHECK(row->type < OPTION_SECTION); // not a scalar: a bug in the table
    return NULL;
}

static json_t *render_section(const struct option_section *section, const void *object);

static json_t *render_list(const struct option_row *row, const void *object) {
    const char *item;
    memcpy(&item, options_field_of(row, object), sizeof item);
    size_t num = options_list_num(row, object);
    json_t *list = json_array();
    for (size_t i = 0; i < num; i++, item += row->size) {
        json_t *value = row->type == OPTION_SECTION ? render_section(row->section, item)
                                                    : render_scalar(row, item);
        if (json_array_append_new(list, value) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static bool render_row(json_t *out, const struct option_row *row, const void *object) {
    if (row->type == OPTION_NOT_YET) {
        return true;
    }
    if (!options_is_set(row, object)) {
        return row->fallback == NULL || put(out, row->key, json_string("")); // turned off
    }
    if (row->is_list) {
        return put(out, row->key, render_list(row, object));
    }
    if (row->type == OPTION_SECTION) {
        return put(out, row->key, render_section(row->section, object));
    }
    const void *field = options_field_of(row, object);
    bool follows_other =
        row->type == OPTION_CHOICE && word_for(row, values_number(field, row->size)) == NULL;
    return follows_other || put(out, row->key, render_scalar(row, field));
}

static json_t *render_section(const struct option_section *section, const void *object) {
    json_t *out = json_object();
    for (const struct option_row *row = section->rows; row->key != NULL; row++) {
        if (!render_row(out, row, object)) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

// jansson does not look at what the callback returns for a key, so a failure is remembered here.
struct sink {
    struct buf *out;
    bool failed;
};

static int append(const char *text, size_t len, void *arg) {
    struct sink *sink = arg;
    sink->failed = sink->failed || !buf_append(sink->out, text, len);
    return sink->failed ? -1 : 0;
}

bool config_render_json(const struct config *config, struct buf *out) {
    json_t *root = render_section(&options_root, config);
    if (root == NULL) {
        return false;
    }
    struct sink sink = {.out = out};
    bool ok = json_dump_callback(root, append, &sink, JSON_COMPACT | JSON_REAL_PRECISION(3)) == 0;
    json_decref(root);
    return ok && !sink.failed;
}
