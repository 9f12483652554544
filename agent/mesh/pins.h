// The pinned destinations as text, to be kept across a restart (docs/decisions/0006): without them
// an agent that has just started would take a member of the mesh that is down for a stranger.
#ifndef AGENT_MESH_PINS_H
#define AGENT_MESH_PINS_H

#include <stdint.h>

#include "agent/mesh/destinations.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

#define PINS_TEXT_MAX ((size_t)32 << 20) // DESTINATIONS_MAX of the longest lines

// Appends every pin that has not ended, one per line. False when memory is short.
bool pins_render(struct destinations *destinations, int64_t now_ms, struct buf *out) MUST_USE;

// Pins again what such a text says and what has not ended, for at most `pin_for_ms`. A line that is
// damaged is left out; then the result is false and the sentence says how many there were.
bool pins_parse(struct destinations *destinations, struct span text, int64_t now_ms,
                int64_t pin_for_ms, struct err *err) MUST_USE;

#endif
