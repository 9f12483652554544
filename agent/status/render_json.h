// The JSON answers of the status port, from plain views. The status port's only
// door to jansson. Each appends a whole document to `out`; false when memory is short.
// Text is clean UTF-8 (escape_plain), times are RFC 3339 in UTC, what is absent is null.
#ifndef AGENT_STATUS_RENDER_JSON_H
#define AGENT_STATUS_RENDER_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/observe/view.h"
#include "agent/status/status.h"
#include "base/buf.h"

// A list longer than this is cut; its document then says "total" and "truncated".
#define RENDER_JSON_ROWS_MAX 10000

bool render_json_connections(struct buf *out, const struct view *view) MUST_USE;
bool render_json_tunnels(struct buf *out, const struct view *view) MUST_USE;
bool render_json_listeners(struct buf *out, const struct view *view) MUST_USE;
bool render_json_destinations(struct buf *out, const struct view *view) MUST_USE;
bool render_json_refusals(struct buf *out, const struct view *view) MUST_USE;
bool render_json_identity(struct buf *out, const struct identity_view *view) MUST_USE;

#endif
