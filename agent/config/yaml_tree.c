#include "agent/config/yaml_tree.h"

#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/check.h"

enum { TAB = 9, FIRST_PRINTABLE = 0x20, DEL = 0x7f };

// The way from the root to where the parser is. The key waits until its value comes.
struct builder {
    struct yaml_tree *tree;
    struct report *report;
    struct yaml_tree_node *open[YAML_TREE_DEPTH_MAX];
    size_t depth;
    struct yaml_tree_node *key; // of the innermost mapping
    size_t num_nodes;
    bool had_document;
};

static struct report_place place_of(yaml_mark_t mark) {
    return (struct report_place){.line = (unsigned)mark.line + 1,
                                 .column = (unsigned)mark.column + 1};
}

static struct yaml_tree_node *innermost(const struct builder *builder) {
    return builder->depth == 0 ? NULL : builder->open[builder->depth - 1];
}

// Reports a mistake after which there is no use in reading on.
static bool give_up(struct builder *builder, struct report_place place, const char *sentence) {
    report_add(builder->report, REPORT_ERROR, place, "%s", sentence);
    return false;
}

static void report_bad(struct builder *builder, struct yaml_tree_node *node, const char *sentence) {
    report_add(builder->report, REPORT_ERROR, node->place, "%s", sentence);
    node->is_bad = true;
}

static struct yaml_tree_node *make_node(struct builder *builder, enum yaml_tree_kind kind,
                                        const yaml_event_t *event, struct span text) {
    struct report_place place = place_of(event->start_mark);
    if (++builder->num_nodes > YAML_TREE_NODES_MAX) {
        (void)give_up(builder, place, "there are too many values in this file");
        return NULL;
    }
    struct yaml_tree_node *node = calloc(1, sizeof *node + text.len + 1);
    if (node == NULL) {
        builder->report->out_of_memory = true;
        return NULL;
    }
    node->kind = kind;
    node->place = place;
    node->len = text.len;
    if (text.len > 0) {
        memcpy(node->text, text.ptr, text.len);
    }
    node->made_before = builder->tree->made_last;
    builder->tree->made_last = node;
    return node;
}

static bool put_key(struct builder *builder, struct yaml_tree_node *key) {
    struct yaml_tree_node *mapping = innermost(builder);
    if (key->kind != YAML_TREE_SCALAR) {
        return give_up(builder, key->place, "a key is plain text, not a list or a mapping");
    }
    if (mapping->num >= YAML_TREE_KEYS_MAX) {
        return give_up(builder, key->place, "there are too many keys in this mapping");
    }
    const struct yaml_tree_node *same = yaml_tree_find(mapping, key->text);
    if (same != NULL && !key->is_bad) {
        char excerpt[REPORT_EXCERPT_MAX];
        report_add(builder->report, REPORT_ERROR, key->place,
                   "the key \"%s\" was already given in line %u",
                   report_excerpt(key->text, excerpt), same->key->place.line);
        mapping->is_bad = true;
    }
    builder->key = key;
    return true;
}

// Puts a node where the parser is: as the root, an item, a key, or the value of a key.
static bool put_node(struct builder *builder, struct yaml_tree_node *node) {
    struct yaml_tree_node *parent = innermost(builder);
    if (parent == NULL) {
        builder->tree->root = node;
        return true;
    }
    if (parent->kind == YAML_TREE_MAPPING && builder->key == NULL) {
        return put_key(builder, node);
    }
    node->key = take(&builder->key);
    if (parent->last == NULL) {
        parent->first = node;
    } else {
        parent->last->next = node;
    }
    parent->last = node;
    parent->num++;
    return true;
}

// Controls beyond ASCII, by their UTF-8: C1, line separators and text direction, byte order mark
// and what is no character. They would make what people see differ from what is there.
static bool is_wide_control(const uint8_t *at, size_t len) {
    if (len >= 2 && at[0] == 0xc2) {
        return at[1] <= 0x9f;
    }
    if (len < 3) {
        return false;
    }
    switch (at[0] << 8 | at[1]) {
    case 0xe280:
        return at[2] == 0x8e || at[2] == 0x8f || (at[2] >= 0xa8 && at[2] <= 0xae);
    case 0xe281:
        return at[2] >= 0xa6 && at[2] <= 0xa9;
    case 0xefbb:
        return at[2] == 0xbf;
    case 0xefbf:
        return at[2] >= 0xbe;
    default:
        return false;
    }
}

static bool is_printable(struct span text, bool may_have_lines) {
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        bool is_blank = c == TAB || (may_have_lines && c == '\n');
        if ((c < FIRST_PRINTABLE && !is_blank) || c == DEL ||
            is_wide_control(text.ptr + i, text.len - i)) {
            return false;
        }
    }
    return true;
}

static bool put_scalar(struct builder *builder, const yaml_event_t *event) {
    struct span text = span_of(event->data.scalar.value, event->data.scalar.length);
    bool may_have_lines = event->data.scalar.style == YAML_LITERAL_SCALAR_STYLE ||
                          event->data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    bool printable = is_printable(text, may_have_lines);
    struct yaml_tree_node *node =
        make_node(builder, YAML_TREE_SCALAR, event, printable ? text : span_of(NULL, 0));
    if (node == NULL) {
        return false;
    }
    node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->has_lines = memchr(node->text, '\n', node->len) != NULL;
    if (!printable) {
        report_bad(builder, node, YAML_TREE_NOT_ONE_LINE);
    } else if (event->data.scalar.tag != NULL) {
        report_bad(builder, node, "tags (!...) are not supported");
    }
    return put_node(builder, node);
}

static bool put_alias(struct builder *builder, const yaml_event_t *event) {
    struct yaml_tree_node *node =
        make_node(builder, YAML_TREE_SCALAR, event, span_of_text("*alias"));
    if (node == NULL) {
        return false;
    }
    report_bad(builder, node, "aliases (*name) are not supported; write the value out");
    return put_node(builder, node);
}

static bool open_collection(struct builder *builder, const yaml_event_t *event) {
    bool is_list = event->type == YAML_SEQUENCE_START_EVENT;
    const yaml_char_t *tag =
        is_list ? event->data.sequence_start.tag : event->data.mapping_start.tag;
    struct yaml_tree_node *node = make_node(
        builder, is_list ? YAML_TREE_SEQUENCE : YAML_TREE_MAPPING, event, span_of(NULL, 0));
    if (node == NULL || !put_node(builder, node)) {
        return false;
    }
    if (builder->depth == YAML_TREE_DEPTH_MAX) {
        return give_up(builder, node->place, "the nesting is too deep here");
    }
    if (tag != NULL) {
        report_bad(builder, node, "tags (!...) are not supported");
    }
    builder->open[builder->depth++] = node;
    return true;
}

static bool close_collection(struct builder *builder) {
    CHECK(builder->depth > 0);
    builder->depth--;
    return true;
}

static bool start_document(struct builder *builder, const yaml_event_t *event) {
    if (builder->had_document) {
        return give_up(builder, place_of(event->start_mark),
                       "a second document starts here; a configuration is one document");
    }
    builder->had_document = true;
    return true;
}

// False when reading ends here, for good or for bad.
static bool take_event(struct builder *builder, const yaml_event_t *event) {
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return start_document(builder, event);
    case YAML_SCALAR_EVENT:
        return put_scalar(builder, event);
    case YAML_ALIAS_EVENT:
        return put_alias(builder, event);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return open_collection(builder, event);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_collection(builder);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return true;
    case YAML_STREAM_END_EVENT:
        return false;
    }
    return true;
}

// libyaml's reader gives an offset instead of a mark.
static struct report_place place_of_offset(struct span text, size_t offset) {
    struct report_place place = {.line = 1, .column = 1};
    for (size_t i = 0; i < offset && i < text.len; i++) {
        if (text.ptr[i] == '\n') {
            place.line++;
            place.column = 1;
        } else if ((text.ptr[i] & 0xc0) != 0x80) {
            place.column++;
        }
    }
    return place;
}

static void report_syntax(struct report *report, const yaml_parser_t *parser, struct span text) {
    if (parser->error == YAML_MEMORY_ERROR) {
        report->out_of_memory = true;
        return;
    }
    const char *problem = parser->problem == NULL ? "cannot be read" : parser->problem;
    if (parser->error == YAML_READER_ERROR) {
        report_add(report, REPORT_ERROR, place_of_offset(text, parser->problem_offset),
                   "this is not YAML: %s", problem);
        return;
    }
    const char *context = parser->context == NULL ? "" : parser->context;
    report_add(report, REPORT_ERROR, place_of(parser->problem_mark), "this is not YAML: %s%s%s",
               problem, *context == '\0' ? "" : " ", context);
}

static void read_events(struct builder *builder, yaml_parser_t *parser, struct span text) {
    bool more = true;
    while (more) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            report_syntax(builder->report, parser, text);
            yaml_tree_fini(builder->tree);
            return;
        }
        more = take_event(builder, &event);
        bool is_end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (!more && !is_end) {
            yaml_tree_fini(builder->tree);
        }
    }
}

bool yaml_tree_parse(struct yaml_tree *out, struct span text, struct report *report) {
    *out = (struct yaml_tree){0};
    size_t errors_before = report->num_errors;
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        report->out_of_memory = true;
        return false;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    // An empty file has no memory, which libyaml would abort for.
    const uint8_t *input = text.len == 0 ? (const uint8_t *)"" : text.ptr;
    yaml_parser_set_input_string(&parser, input, text.len);
    struct builder builder = {.tree = out, .report = report};
    read_events(&builder, &parser, text);
    yaml_parser_delete(&parser);
    bool failed = report->out_of_memory || report->num_errors > errors_before;
    return out->root != NULL || !failed;
}

void yaml_tree_fini(struct yaml_tree *tree) {
    struct yaml_tree_node *node = tree->made_last;
    while (node != NULL) {
        struct yaml_tree_node *before = node->made_before;
        free(node);
        node = before;
    }
    *tree = (struct yaml_tree){0};
}

struct yaml_tree_node *yaml_tree_find(const struct yaml_tree_node *node, const char *key) {
    if (node == NULL || node->kind != YAML_TREE_MAPPING) {
        return NULL;
    }
    for (struct yaml_tree_node *child = node->first; child != NULL; child = child->next) {
        if (strcmp(child->key->text, key) == 0) {
            return child;
        }
    }
    return NULL;
}

bool yaml_tree_is_null(const struct yaml_tree_node *node) {
    return node->kind == YAML_TREE_SCALAR && node->is_plain && !node->is_bad &&
           (node->len == 0 || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

const char *yaml_tree_kind_name(const struct yaml_tree_node *node) {
    switch (node->kind) {
    case YAML_TREE_SEQUENCE:
        return "a list";
    case YAML_TREE_MAPPING:
        return "a mapping";
    case YAML_TREE_SCALAR:
        return node->is_plain && node->len == 0 ? "nothing" : "one value";
    }
    return "nothing";
}
