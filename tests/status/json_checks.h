// What tests ask of the JSON that the status port renders.
#ifndef TESTS_STATUS_JSON_CHECKS_H
#define TESTS_STATUS_JSON_CHECKS_H

#include <jansson.h>

#include "base/buf.h"

// The document; ends the use of `out`.
json_t *json_checks_parse(struct buf *out);
// The first row of the list under `key`, which has one; the document's.
json_t *json_checks_first(json_t *document, const char *key);
void json_checks_text(const json_t *row, const char *key, const char *expected);
void json_checks_number(const json_t *row, const char *key, json_int_t expected);

#endif
