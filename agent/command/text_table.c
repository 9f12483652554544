#include "agent/command/text_table.h"

#include <stdlib.h>

#include "agent/status/escape.h"
#include "base/check.h"

struct text_table {
    const char *const *titles;
    size_t num_columns;
    size_t widths[TEXT_TABLE_COLUMNS_MAX]; // in characters
    struct buf cells;                      // NUL-terminated texts, one after the other
    size_t num_cells;
};

// Characters of clean UTF-8: every byte but continuation bytes.
static size_t width_of(const char *text) {
    size_t width = 0;
    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

static void widen(struct text_table *table, size_t column, const char *text) {
    size_t width = width_of(text);
    if (width > table->widths[column]) {
        table->widths[column] = width;
    }
}

struct text_table *text_table_new(const char *const *titles, size_t num) {
    CHECK(num >= 1 && num <= TEXT_TABLE_COLUMNS_MAX);
    struct text_table *table = calloc(1, sizeof(*table));
    if (table == NULL) {
        return NULL;
    }
    table->titles = titles;
    table->num_columns = num;
    for (size_t i = 0; i < num; i++) {
        widen(table, i, titles[i]);
    }
    return table;
}

void text_table_free(struct text_table *table) {
    if (table == NULL) {
        return;
    }
    buf_fini(&table->cells);
    free(table);
}

bool text_table_add(struct text_table *table, const char *text) {
    size_t start = table->cells.len;
    if (!escape_plain(&table->cells, text[0] == '\0' ? "-" : text) ||
        !buf_append(&table->cells, "", 1)) {
        return false;
    }
    const char *added = (const char *)buf_span(&table->cells).ptr + start;
    widen(table, table->num_cells % table->num_columns, added);
    table->num_cells++;
    return true;
}

static bool render_cell(const struct text_table *table, size_t column, const char *text,
                        struct buf *out) {
    if (column + 1 == table->num_columns) {
        return buf_printf(out, "%s\n", text);
    }
    int padding = (int)(table->widths[column] - width_of(text)) + 2;
    return buf_printf(out, "%s%*s", text, padding, "");
}

bool text_table_render(const struct text_table *table, struct buf *out) {
    CHECK(table->num_cells % table->num_columns == 0);
    const char *cell = (const char *)buf_span(&table->cells).ptr;
    bool fine = true;
    for (size_t i = 0; i < table->num_columns; i++) {
        fine = fine && render_cell(table, i, table->titles[i], out);
    }
    for (size_t i = 0; i < table->num_cells; i++) {
        fine = fine && render_cell(table, i % table->num_columns, cell, out);
        cell += strlen(cell) + 1;
    }
    return fine;
}
