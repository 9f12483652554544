// The mistakes found in one configuration text: collected in any order, rendered in the order of
// the text, one per line as "name:line:col: sentence". One owner, no locking.
#ifndef AGENT_CONFIG_REPORT_H
#define AGENT_CONFIG_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/own.h"

#define REPORT_MAX 200 // what is found beyond this is only counted

enum report_kind { REPORT_ERROR, REPORT_WARNING };

// A place in the text, both counted from 1; line 0 means the text as a whole.
struct report_place {
    unsigned line;
    unsigned column;
};

struct report_entry {
    enum report_kind kind;
    struct report_place place;
    char *sentence;
};

struct report {
    struct report_entry *entries; // owned
    size_t num;
    size_t num_errors; // found, kept or not
    size_t num_left_out;
    bool out_of_memory; // counts as an error
};

void report_init(struct report *report);
void report_fini(struct report *report);

void report_add(struct report *report, enum report_kind kind, struct report_place place,
                const char *format, ...) PRINTF_LIKE(4, 5);
bool report_has_errors(const struct report *report);

// Appends the errors to `errors` and the warnings to `warnings`; each may be NULL.
bool report_render(struct report *report, const char *name, struct buf *errors,
                   struct buf *warnings) MUST_USE;

// `text` as it may stand in a sentence: cut where it is long, on a UTF-8 boundary.
#define REPORT_EXCERPT_MAX 68
const char *report_excerpt(const char *text, char out[REPORT_EXCERPT_MAX]);

#endif
