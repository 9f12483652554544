// A YAML file that is a list of small records, each a mapping of scalars:
//   - {uid: 1001, spiffeId: "spiffe://example.org/web"}
// Text in, calls out; every mistake is one sentence with its line and column. This is the
// authority's only door to libyaml.
#ifndef AUTHORITY_YAML_RECORDS_H
#define AUTHORITY_YAML_RECORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

#define YAML_RECORDS_FIELDS_MAX 8

struct yaml_records_scalar { // borrowed
    struct span text;
    bool is_plain; // without quotes
};

struct yaml_records_field { // each record has every field exactly once
    const char *key;
    // Reads the value. An error of class ERR_INPUT gets the value's place in front.
    bool (*read)(void *arg, struct yaml_records_scalar value, struct err *err);
    const char *not_scalar; // the sentence for a value that is no scalar
};

struct yaml_records_form {
    const struct yaml_records_field *fields;
    size_t num_fields;
    const char *example; // how a record is written: a sentence
    const char *keys;    // "unknown key: an entry has uid and spiffeId"
    size_t max;          // records
    // A record is complete: takes what its fields have read.
    bool (*end)(void *arg, struct err *err);
};

// `name` is the file's for messages. False with the sentence on error, possibly within a record.
bool yaml_records_parse(const char *name, struct span text, const struct yaml_records_form *form,
                        void *arg, struct err *err) MUST_USE;

#endif
