// The page for people at `/`: complete without script, refreshed by a small one. One document, no
// other asset; the caller sends page_policy's Content-Security-Policy with the same nonce.
#ifndef AGENT_STATUS_PAGE_H
#define AGENT_STATUS_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/status/page_table.h"
#include "agent/status/status.h"
#include "base/buf.h"

struct page_input {
    struct page_table_input tables;
    const struct readiness *checks;
    size_t num_checks;
    const char *nonce; // fresh for every answer; hex
};

bool page_render(struct buf *out, const struct page_input *input) MUST_USE;
// The value of the header, cut at `max`.
void page_policy(const char *nonce, char *out, size_t max);

#endif
