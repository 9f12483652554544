#include "authority/entries.h"

#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/own.h"
#include "certmgr/spiffe_id.h"

#define UID_RESERVED UINT32_MAX // (uid_t)-1 names nobody

struct entry {
    uint32_t uid;
    char *spiffe_id;
};

struct entries {
    struct entry *entry;
    size_t num;
    size_t cap;
};

// libyaml's events, one at a time, and where errors are reported.
struct reader {
    yaml_parser_t parser;
    yaml_event_t event; // the present one
    bool has_event;
    const char *name;
    const char *trust_domain;
    struct err *err;
};

// Where an entry's keys were found while it is read.
struct entry_draft {
    struct entry entry;
    bool has_uid;
};

void entries_free(struct entries *entries) {
    if (entries == NULL) {
        return;
    }
    for (size_t i = 0; i < entries->num; i++) {
        free(entries->entry[i].spiffe_id);
    }
    free(entries->entry);
    free(entries);
}

const char *entries_find(const struct entries *entries, uint32_t uid) {
    for (size_t i = 0; i < entries->num; i++) {
        if (entries->entry[i].uid == uid) {
            return entries->entry[i].spiffe_id;
        }
    }
    return NULL;
}

size_t entries_num(const struct entries *entries) {
    return entries->num;
}

static bool fail_at(struct reader *reader, yaml_mark_t mark, const char *sentence) {
    return ERR_SET(reader->err, ERR_INPUT, "%s:%zu:%zu: %s", reader->name, mark.line + 1,
                   mark.column + 1, sentence);
}

static bool fail_here(struct reader *reader, const char *sentence) {
    return fail_at(reader, reader->event.start_mark, sentence);
}

static void drop_event(struct reader *reader) {
    if (reader->has_event) {
        yaml_event_delete(&reader->event);
        reader->has_event = false;
    }
}

// Goes to the next event. Aliases are refused here: nothing in an entry needs them.
static bool next(struct reader *reader) {
    drop_event(reader);
    if (!yaml_parser_parse(&reader->parser, &reader->event)) {
        const yaml_parser_t *parser = &reader->parser;
        yaml_mark_t mark = parser->problem_mark;
        if (parser->error == YAML_READER_ERROR) { // it has an offset only
            mark = parser->mark;
        }
        return fail_at(reader, mark,
                       parser->problem != NULL ? parser->problem : "the file is not valid YAML");
    }
    reader->has_event = true;
    if (reader->event.type == YAML_ALIAS_EVENT) {
        return fail_here(reader, "aliases are not supported here");
    }
    return true;
}

static struct span scalar(const struct reader *reader) {
    return span_of(reader->event.data.scalar.value, reader->event.data.scalar.length);
}

static bool parse_uid(struct span text, uint32_t *out) {
    uint64_t value = 0;
    if (text.len == 0 || text.len > 10) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    if (value >= UID_RESERVED) {
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

static bool read_uid(struct reader *reader, struct entry_draft *draft) {
    if (draft->has_uid) {
        return fail_here(reader, "uid is given twice");
    }
    if (!next(reader)) {
        return false;
    }
    if (reader->event.type != YAML_SCALAR_EVENT ||
        reader->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE ||
        !parse_uid(scalar(reader), &draft->entry.uid)) {
        return fail_here(reader, "uid must be a number from 0 to 4294967294");
    }
    draft->has_uid = true;
    return true;
}

static bool read_spiffe_id(struct reader *reader, struct entry_draft *draft) {
    if (draft->entry.spiffe_id != NULL) {
        return fail_here(reader, "spiffeId is given twice");
    }
    if (!next(reader)) {
        return false;
    }
    if (reader->event.type != YAML_SCALAR_EVENT) {
        return fail_here(reader, "spiffeId must be a text like \"spiffe://example.org/web\"");
    }
    struct spiffe_id id;
    struct err problem = {0};
    if (!spiffe_id_parse(&id, scalar(reader), &problem)) {
        return fail_here(reader, problem.msg);
    }
    if (!span_equal_text(spiffe_id_trust_domain(&id), reader->trust_domain)) {
        return fail_here(reader, "spiffeId is not in this authority's trust domain");
    }
    if (spiffe_id_path(&id).len == 0) {
        return fail_here(reader, "spiffeId needs a path after the trust domain");
    }
    draft->entry.spiffe_id = strdup(id.text);
    return draft->entry.spiffe_id != NULL || ERR_NO_MEMORY(reader->err, "reading the entries");
}

// One key of an entry and its value.
static bool read_pair(struct reader *reader, struct entry_draft *draft) {
    if (reader->event.type == YAML_SCALAR_EVENT && span_equal_text(scalar(reader), "uid")) {
        return read_uid(reader, draft);
    }
    if (reader->event.type == YAML_SCALAR_EVENT && span_equal_text(scalar(reader), "spiffeId")) {
        return read_spiffe_id(reader, draft);
    }
    return fail_here(reader, "unknown key: an entry has uid and spiffeId");
}

static bool read_mapping(struct reader *reader, struct entry_draft *draft) {
    if (reader->event.type != YAML_MAPPING_START_EVENT) {
        return fail_here(reader, "an entry is written {uid: 1001, spiffeId: \"spiffe://...\"}");
    }
    yaml_mark_t start = reader->event.start_mark;
    for (;;) {
        if (!next(reader)) {
            return false;
        }
        if (reader->event.type == YAML_MAPPING_END_EVENT) {
            break;
        }
        if (!read_pair(reader, draft)) {
            return false;
        }
    }
    if (!draft->has_uid) {
        return fail_at(reader, start, "this entry has no uid");
    }
    if (draft->entry.spiffe_id == NULL) {
        return fail_at(reader, start, "this entry has no spiffeId");
    }
    return true;
}

// Takes the entry's text.
static bool append(struct entries *entries, struct entry entry) {
    if (entries->num == entries->cap) {
        size_t cap = entries->cap == 0 ? 16 : entries->cap * 2;
        struct entry *grown = reallocarray(entries->entry, cap, sizeof(*grown));
        if (grown == NULL) {
            return false;
        }
        entries->entry = grown;
        entries->cap = cap;
    }
    entries->entry[entries->num++] = entry;
    return true;
}

static bool read_sequence(struct reader *reader, struct entries *entries) {
    if (reader->event.type != YAML_SEQUENCE_START_EVENT) {
        return fail_here(reader, "the file must be a list of entries");
    }
    for (;;) {
        struct entry_draft draft = {0};
        if (!next(reader)) {
            return false;
        }
        if (reader->event.type == YAML_SEQUENCE_END_EVENT) {
            return true;
        }
        if (entries->num == ENTRIES_MAX) {
            return fail_here(reader, "there are too many entries");
        }
        bool ok = read_mapping(reader, &draft);
        if (!ok || !append(entries, draft.entry)) {
            free(draft.entry.spiffe_id);
            return !ok ? false : ERR_NO_MEMORY(reader->err, "reading the entries");
        }
    }
}

static bool read_file(struct reader *reader, struct entries *entries) {
    if (!next(reader) || !next(reader)) { // stream start, document start
        return false;
    }
    if (reader->event.type == YAML_STREAM_END_EVENT) {
        return fail_here(reader, "the file is empty: write [] to refuse every caller");
    }
    if (!next(reader) || !read_sequence(reader, entries) || !next(reader) || !next(reader)) {
        return false;
    }
    if (reader->event.type != YAML_STREAM_END_EVENT) {
        return fail_here(reader, "only one document is allowed");
    }
    return true;
}

struct entries *entries_parse(const char *name, struct span text, const char *trust_domain,
                              struct err *err) {
    struct reader reader = {.name = name, .trust_domain = trust_domain, .err = err};
    OWNED(entries_free) struct entries *entries = calloc(1, sizeof(*entries));
    if (entries == NULL || !yaml_parser_initialize(&reader.parser)) {
        ERR_NO_MEMORY(err, "reading the entries");
        return NULL;
    }
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, text.ptr, text.len);
    bool ok = read_file(&reader, entries);
    drop_event(&reader);
    yaml_parser_delete(&reader.parser);
    return ok ? take(&entries) : NULL;
}

struct entries *entries_load(const char *path, const char *trust_domain, struct err *err) {
    struct buf text __attribute__((cleanup(buf_fini))) = {0};
    if (!file_read(path, ENTRIES_FILE_MAX, &text, err)) {
        return NULL;
    }
    return entries_parse(path, buf_span(&text), trust_domain, err);
}
