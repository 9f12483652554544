// Edits of one text: pieces taken out and put in at places of the original. They are collected in
// any order and applied at once. One owner.
#ifndef AGENT_INJECT_EDIT_H
#define AGENT_INJECT_EDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

struct edit {
    size_t offset;
    size_t remove;  // bytes taken out from there
    size_t order;   // of edits at one place, the earlier comes first
    struct buf put; // what comes instead
};

struct edit_list {
    struct edit *edits;
    size_t num;
    size_t cap;
};

void edit_list_fini(struct edit_list *list);
// Takes over `put`, and empties it also on failure.
bool edit_add(struct edit_list *list, size_t offset, size_t remove, struct buf *put,
              struct err *err) MUST_USE;
// Appends the edited text to `out`. Edits must not overlap.
bool edit_apply(struct edit_list *list, struct span text, struct buf *out,
                struct err *err) MUST_USE;

// --- lines ---------------------------------------------------------------------------------------

size_t edit_line_start(struct span text, size_t offset);
// Behind the newline that ends the line of `offset`, or the end of the text.
size_t edit_line_end(struct span text, size_t offset);
// True when nothing but blanks stands before `offset` in its line.
bool edit_is_alone(struct span text, size_t offset);
// "\r\n" when the text's first line ends so, else "\n".
const char *edit_newline(struct span text);
// False when the text has something that ends a line for YAML but not here: a carriage return
// without a newline, U+0085, U+2028, U+2029. Then `offset` is where.
bool edit_has_plain_lines(struct span text, size_t *offset);

#endif
