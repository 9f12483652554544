#include "agent/inject/manifest.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/check.h"

// libyaml counts characters; `offset` and `index` follow it through the bytes.
struct cursor {
    struct span text;
    size_t offset;
    size_t index;
};

struct builder {
    struct manifest *manifest;
    struct cursor cursor;
    struct manifest_node *open[MANIFEST_DEPTH_MAX];
    size_t depth;
    struct manifest_node *key; // of the innermost map, waiting for its value
    struct err *err;
};

// --- places --------------------------------------------------------------------------------------

static bool is_continuation(uint8_t byte) {
    return (byte & 0xc0) == 0x80;
}

static size_t skip_bom(struct span text) {
    return text.len >= 3 && memcmp(text.ptr, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

// The byte of character `index`. Marks mostly grow; where one goes back, the cursor starts anew.
static size_t offset_of(struct cursor *cursor, size_t index) {
    if (index < cursor->index) {
        cursor->index = 0;
        cursor->offset = skip_bom(cursor->text);
    }
    while (cursor->index < index && cursor->offset < cursor->text.len) {
        cursor->offset++;
        while (cursor->offset < cursor->text.len &&
               is_continuation(cursor->text.ptr[cursor->offset])) {
            cursor->offset++;
        }
        cursor->index++;
    }
    return cursor->offset;
}

void manifest_place(struct span text, size_t offset, unsigned *line, unsigned *column) {
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < offset && i < text.len; i++) {
        if (text.ptr[i] == '\n') {
            ++*line;
            *column = 1;
        } else if (!is_continuation(text.ptr[i])) {
            ++*column;
        }
    }
}

static bool fail_at(struct builder *builder, size_t offset, const char *sentence) {
    unsigned line = 0;
    unsigned column = 0;
    manifest_place(builder->cursor.text, offset, &line, &column);
    return ERR_SET(builder->err, ERR_INPUT, "%u:%u: %s", line, column, sentence);
}

// --- nodes ---------------------------------------------------------------------------------------

static struct manifest_node *make_node(struct builder *builder, enum manifest_kind kind,
                                       const yaml_event_t *event, struct span text) {
    size_t start = offset_of(&builder->cursor, event->start_mark.index);
    if (++builder->manifest->num_nodes > MANIFEST_NODES_MAX) {
        (void)fail_at(builder, start, "there are too many values in this text");
        return NULL;
    }
    struct manifest_node *node = calloc(1, sizeof *node + text.len + 1);
    if (node == NULL) {
        (void)ERR_NO_MEMORY(builder->err, "reading a manifest");
        return NULL;
    }
    node->kind = kind;
    node->start = start;
    node->end = offset_of(&builder->cursor, event->end_mark.index);
    node->len = text.len;
    if (text.len > 0) {
        memcpy(node->text, text.ptr, text.len);
    }
    node->made_before = builder->manifest->made_last;
    builder->manifest->made_last = node;
    return node;
}

static void put_root(struct manifest *manifest, struct manifest_node *root) {
    if (manifest->last == NULL) {
        manifest->first = root;
    } else {
        manifest->last->next = root;
    }
    manifest->last = root;
}

static bool put_key(struct builder *builder, struct manifest_node *map, struct manifest_node *key) {
    if (key->kind != MANIFEST_SCALAR) {
        return fail_at(builder, key->start, "a key must be plain text");
    }
    // Looked at pairwise, so only where a manifest's maps are of a manifest's size.
    if (map->num < 1024 && manifest_find(map, key->text) != NULL) {
        return fail_at(builder, key->start, "this key is there twice");
    }
    key->parent = map;
    builder->key = key;
    return true;
}

static bool put_node(struct builder *builder, struct manifest_node *node) {
    struct manifest_node *parent = builder->depth == 0 ? NULL : builder->open[builder->depth - 1];
    if (parent == NULL) {
        put_root(builder->manifest, node);
        return true;
    }
    if (parent->kind == MANIFEST_MAP && builder->key == NULL) {
        return put_key(builder, parent, node);
    }
    node->parent = parent;
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

// A block scalar ends where its last line does: blank lines behind it are not ours to move.
static void trim_block_scalar(const struct builder *builder, struct manifest_node *node) {
    while (node->end > node->start &&
           memchr(" \r\n", builder->cursor.text.ptr[node->end - 1], 3) != NULL) {
        node->end--;
    }
}

static bool put_scalar(struct builder *builder, const yaml_event_t *event) {
    const size_t len = event->data.scalar.length;
    struct manifest_node *node =
        make_node(builder, MANIFEST_SCALAR, event, span_of(event->data.scalar.value, len));
    if (node == NULL) {
        return false;
    }
    if (strlen(node->text) != len) {
        return fail_at(builder, node->start, "this text holds a NUL character");
    }
    yaml_scalar_style_t style = event->data.scalar.style;
    node->is_plain = style == YAML_PLAIN_SCALAR_STYLE;
    node->has_properties = event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL;
    if (style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE) {
        trim_block_scalar(builder, node);
    }
    return put_node(builder, node);
}

static bool put_alias(struct builder *builder, const yaml_event_t *event) {
    struct manifest_node *node = make_node(builder, MANIFEST_ALIAS, event, span_of(NULL, 0));
    return node != NULL && put_node(builder, node);
}

static bool open_collection(struct builder *builder, const yaml_event_t *event) {
    bool is_list = event->type == YAML_SEQUENCE_START_EVENT;
    struct manifest_node *node =
        make_node(builder, is_list ? MANIFEST_LIST : MANIFEST_MAP, event, span_of(NULL, 0));
    if (node == NULL || !put_node(builder, node)) {
        return false;
    }
    if (builder->depth == MANIFEST_DEPTH_MAX) {
        return fail_at(builder, node->start, "the nesting is too deep here");
    }
    if (is_list) {
        node->is_flow = event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
        node->has_properties =
            event->data.sequence_start.anchor != NULL || event->data.sequence_start.tag != NULL;
    } else {
        node->is_flow = event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
        node->has_properties =
            event->data.mapping_start.anchor != NULL || event->data.mapping_start.tag != NULL;
    }
    builder->open[builder->depth++] = node;
    return true;
}

// The end event of a block collection stands where the next thing begins: its last child decides.
static bool close_collection(struct builder *builder, const yaml_event_t *event) {
    CHECK(builder->depth > 0);
    struct manifest_node *node = builder->open[--builder->depth];
    if (node->is_flow) {
        node->end = offset_of(&builder->cursor, event->end_mark.index);
    } else if (node->last != NULL) {
        node->end = node->last->end;
    }
    return true;
}

static bool take_event(struct builder *builder, const yaml_event_t *event) {
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return put_scalar(builder, event);
    case YAML_ALIAS_EVENT:
        return put_alias(builder, event);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return open_collection(builder, event);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_collection(builder, event);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
    case YAML_STREAM_END_EVENT:
        break;
    }
    return true;
}

// --- reading -------------------------------------------------------------------------------------

// JSON may write a character beyond U+FFFF as two escapes, which YAML does not know.
static const char *advice(const char *problem) {
    return strstr(problem, "escape code") != NULL
               ? "; write a character beyond U+FFFF itself, not as two \\u"
               : "";
}

static bool fail_syntax(struct builder *builder, const yaml_parser_t *parser) {
    if (parser->error == YAML_MEMORY_ERROR) {
        return ERR_NO_MEMORY(builder->err, "reading a manifest");
    }
    char sentence[200];
    const char *problem = parser->problem == NULL ? "cannot be read" : parser->problem;
    snprintf(sentence, sizeof sentence, "this is neither YAML nor JSON: %s%s", problem,
             advice(problem));
    size_t offset = parser->error == YAML_READER_ERROR
                        ? parser->problem_offset
                        : offset_of(&builder->cursor, parser->problem_mark.index);
    return fail_at(builder, offset, sentence);
}

static bool read_events(struct builder *builder, yaml_parser_t *parser) {
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            return fail_syntax(builder, parser);
        }
        bool is_end = event.type == YAML_STREAM_END_EVENT;
        bool taken = take_event(builder, &event);
        yaml_event_delete(&event);
        if (!taken || is_end) {
            return taken;
        }
    }
}

bool manifest_parse(struct manifest *manifest, struct span text, struct err *err) {
    if (text.len > MANIFEST_BYTES_MAX) {
        return ERR_SET(err, ERR_INPUT, "the text is longer than %zu MiB", MANIFEST_BYTES_MAX >> 20);
    }
    // libyaml would take it, but then its characters are not our bytes.
    if (text.len >= 2 &&
        (memcmp(text.ptr, "\xff\xfe", 2) == 0 || memcmp(text.ptr, "\xfe\xff", 2) == 0)) {
        return ERR_SET(err, ERR_INPUT, "1:1: this is UTF-16; manifests are UTF-8");
    }
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        return ERR_NO_MEMORY(err, "reading a manifest");
    }
    // libyaml wants an address, also of nothing.
    yaml_parser_set_input_string(&parser, text.len == 0 ? (const uint8_t *)"" : text.ptr, text.len);
    struct builder builder = {
        .manifest = manifest, .cursor = {.text = text, .offset = skip_bom(text)}, .err = err};
    bool ok = read_events(&builder, &parser);
    yaml_parser_delete(&parser);
    return ok;
}

void manifest_fini(struct manifest *manifest) {
    struct manifest_node *node = manifest->made_last;
    while (node != NULL) {
        struct manifest_node *before = node->made_before;
        free(node);
        node = before;
    }
    *manifest = (struct manifest){0};
}

// --- looking -------------------------------------------------------------------------------------

struct manifest_node *manifest_find(const struct manifest_node *node, const char *key) {
    if (node == NULL || node->kind != MANIFEST_MAP) {
        return NULL;
    }
    for (struct manifest_node *child = node->first; child != NULL; child = child->next) {
        if (strcmp(child->key->text, key) == 0) {
            return child;
        }
    }
    return NULL;
}

struct manifest_node *manifest_at(struct manifest_node *node, const char *path) {
    while (node != NULL && *path != '\0') {
        char key[64];
        size_t len = strcspn(path, "/");
        CHECK(len < sizeof key);
        memcpy(key, path, len);
        key[len] = '\0';
        node = manifest_find(node, key);
        path += len + (path[len] == '/' ? 1 : 0);
    }
    return node;
}

const char *manifest_text(const struct manifest_node *node, const char *key) {
    const struct manifest_node *child = manifest_find(node, key);
    return child != NULL && child->kind == MANIFEST_SCALAR ? child->text : NULL;
}

bool manifest_is_null(const struct manifest_node *node) {
    return node->kind == MANIFEST_SCALAR && node->is_plain && !node->has_properties &&
           (node->len == 0 || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

bool manifest_is_empty(const struct manifest_node *node) {
    return manifest_is_null(node) ||
           ((node->kind == MANIFEST_LIST || node->kind == MANIFEST_MAP) && node->num == 0);
}

bool manifest_is_bare(const struct manifest_node *node) {
    if (node->kind != MANIFEST_SCALAR || !node->is_plain) {
        return false;
    }
    size_t digits = strspn(node->text, "0123456789");
    return (digits == node->len && digits > 0 && digits < 16) || manifest_is_null(node) ||
           strcmp(node->text, "true") == 0 || strcmp(node->text, "false") == 0;
}
