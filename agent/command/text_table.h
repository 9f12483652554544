// A table of aligned columns for a terminal.
#ifndef AGENT_COMMAND_TEXT_TABLE_H
#define AGENT_COMMAND_TEXT_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/own.h"

struct text_table;

// `titles` is borrowed. At most TEXT_TABLE_COLUMNS_MAX columns. NULL when memory is short.
#define TEXT_TABLE_COLUMNS_MAX 12
struct text_table *text_table_new(const char *const *titles, size_t num) MUST_USE;
void text_table_free(struct text_table *table);
OWN_DEFINE(struct text_table, text_table_free)

// The next cell, row by row. The text is made harmless for a terminal; "" shows as "-".
bool text_table_add(struct text_table *table, const char *text) MUST_USE;
// Titles and rows, two spaces between columns, none at the end of a line.
bool text_table_render(const struct text_table *table, struct buf *out) MUST_USE;

#endif
