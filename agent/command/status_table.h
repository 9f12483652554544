// What the status port said as JSON, turned into tables and sentences for people. Pure. The
// command's only door to jansson.
#ifndef AGENT_COMMAND_STATUS_TABLE_H
#define AGENT_COMMAND_STATUS_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

// Appends the table of `what` ("identity", "connections", "tunnels", "destinations", "listeners",
// "refusals", "certs") from that endpoint's document.
bool status_table_render(const char *what, struct span json, int64_t now_ms, struct buf *out,
                         struct err *err) MUST_USE;

// The overview: a line or two out of each document, in the order of status_table_parts.
#define STATUS_TABLE_NUM_PARTS 6
extern const char *const status_table_parts[STATUS_TABLE_NUM_PARTS]; // "identity", ...
bool status_table_overview(const struct span json[STATUS_TABLE_NUM_PARTS], int64_t now_ms,
                           struct buf *out, struct err *err) MUST_USE;

#endif
