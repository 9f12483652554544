#include "authority/yaml_records.h"

#include <yaml.h>

// libyaml's events, one at a time, and where errors are reported.
struct reader {
    yaml_parser_t parser;
    yaml_event_t event; // the present one
    bool has_event;
    const char *name;
    const struct yaml_records_form *form;
    void *arg;
    struct err *err;
};

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

// Goes to the next event. Aliases are refused here: nothing in a record needs them.
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

static struct yaml_records_scalar scalar(const struct reader *reader) {
    return (struct yaml_records_scalar){
        .text = span_of(reader->event.data.scalar.value, reader->event.data.scalar.length),
        .is_plain = reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE,
    };
}

// The field that the present event names; num_fields when there is none.
static size_t find_field(const struct reader *reader) {
    size_t i = 0;
    if (reader->event.type != YAML_SCALAR_EVENT) {
        return reader->form->num_fields;
    }
    while (i < reader->form->num_fields &&
           !span_equal_text(scalar(reader).text, reader->form->fields[i].key)) {
        i++;
    }
    return i;
}

// One key of a record and its value.
static bool read_pair(struct reader *reader, bool seen[YAML_RECORDS_FIELDS_MAX]) {
    size_t index = find_field(reader);
    if (index == reader->form->num_fields) {
        return fail_here(reader, reader->form->keys);
    }
    const struct yaml_records_field *field = &reader->form->fields[index];
    if (seen[index]) {
        return fail_here(reader, "this key is given twice");
    }
    seen[index] = true;
    if (!next(reader)) {
        return false;
    }
    if (reader->event.type != YAML_SCALAR_EVENT) {
        return fail_here(reader, field->not_scalar);
    }
    struct err problem = {0};
    if (field->read(reader->arg, scalar(reader), &problem)) {
        return true;
    }
    if (problem.class == ERR_INPUT) {
        return fail_here(reader, problem.msg);
    }
    *reader->err = problem;
    return false;
}

static bool check_complete(struct reader *reader, const bool seen[YAML_RECORDS_FIELDS_MAX],
                           yaml_mark_t start) {
    for (size_t i = 0; i < reader->form->num_fields; i++) {
        if (!seen[i]) {
            return ERR_SET(reader->err, ERR_INPUT, "%s:%zu:%zu: this entry has no %s", reader->name,
                           start.line + 1, start.column + 1, reader->form->fields[i].key);
        }
    }
    return true;
}

static bool read_record(struct reader *reader) {
    bool seen[YAML_RECORDS_FIELDS_MAX] = {false};
    if (reader->event.type != YAML_MAPPING_START_EVENT) {
        return fail_here(reader, reader->form->example);
    }
    yaml_mark_t start = reader->event.start_mark;
    for (;;) {
        if (!next(reader)) {
            return false;
        }
        if (reader->event.type == YAML_MAPPING_END_EVENT) {
            break;
        }
        if (!read_pair(reader, seen)) {
            return false;
        }
    }
    if (!check_complete(reader, seen, start)) {
        return false;
    }
    struct err problem = {0};
    if (reader->form->end(reader->arg, &problem)) {
        return true;
    }
    if (problem.class == ERR_INPUT) {
        return fail_at(reader, start, problem.msg);
    }
    *reader->err = problem;
    return false;
}

static bool read_list(struct reader *reader) {
    if (reader->event.type != YAML_SEQUENCE_START_EVENT) {
        return fail_here(reader, "the file must be a list of entries");
    }
    for (size_t num = 0;; num++) {
        if (!next(reader)) {
            return false;
        }
        if (reader->event.type == YAML_SEQUENCE_END_EVENT) {
            return true;
        }
        if (num == reader->form->max) {
            return fail_here(reader, "there are too many entries");
        }
        if (!read_record(reader)) {
            return false;
        }
    }
}

static bool read_file(struct reader *reader) {
    if (!next(reader) || !next(reader)) { // stream start, document start
        return false;
    }
    if (reader->event.type == YAML_STREAM_END_EVENT) {
        return fail_here(reader, "the file is empty: write [] to refuse every caller");
    }
    if (!next(reader) || !read_list(reader) || !next(reader) || !next(reader)) {
        return false;
    }
    if (reader->event.type != YAML_STREAM_END_EVENT) {
        return fail_here(reader, "only one document is allowed");
    }
    return true;
}

bool yaml_records_parse(const char *name, struct span text, const struct yaml_records_form *form,
                        void *arg, struct err *err) {
    struct reader reader = {.name = name, .form = form, .arg = arg, .err = err};
    if (!yaml_parser_initialize(&reader.parser)) {
        return ERR_NO_MEMORY(err, "reading YAML");
    }
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    // An empty file has no memory, which libyaml would abort for.
    const uint8_t *input = text.len == 0 ? (const uint8_t *)"" : text.ptr;
    yaml_parser_set_input_string(&reader.parser, input, text.len);
    bool ok = read_file(&reader);
    drop_event(&reader);
    yaml_parser_delete(&reader.parser);
    return ok;
}
