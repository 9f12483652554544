// Certificates of a trust store as text for people. Pure.
#ifndef AGENT_COMMAND_TRUST_TEXT_H
#define AGENT_COMMAND_TRUST_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/observe/trust_view.h"
#include "base/buf.h"
#include "base/own.h"

// A table, one line for each certificate; `all` with the public roots.
bool trust_text_table(struct buf *out, const struct trust_view *view, bool all,
                      int64_t now_ms) MUST_USE;
// The same with all that is known of each.
bool trust_text_long(struct buf *out, const struct trust_view *view, bool all,
                     int64_t now_ms) MUST_USE;
// One certificate, a line for each field.
bool trust_text_entry(struct buf *out, const struct trust_entry *entry, int64_t now_ms) MUST_USE;
// "N certificates: ..." and what is wrong.
bool trust_text_summary(struct buf *out, const struct trust_view *view) MUST_USE;
// What Azure Spring writes for each certificate of the user's that is loaded.
bool trust_text_loaded(struct buf *out, const struct trust_set *set) MUST_USE;

#endif
