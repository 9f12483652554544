// The tables of the page: their columns (which the page's script reads too) and their rows out of
// plain views.
#ifndef AGENT_STATUS_PAGE_TABLE_H
#define AGENT_STATUS_PAGE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/observe/view.h"
#include "agent/status/status.h"
#include "base/buf.h"

struct page_table_input {
    const struct identity_view *identity;
    const struct view *view;
    const struct trust_view *trust;
    int64_t now_ms;
};

// Appends the sections with all tables; false when memory is short.
bool page_table_render(struct buf *out, const struct page_table_input *input) MUST_USE;

#endif
