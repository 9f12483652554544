// Text that somebody else chose (peer names, details, errors) made harmless for where it goes.
// Invalid UTF-8 and control characters become U+FFFD everywhere, so no output carries raw bytes.
#ifndef AGENT_STATUS_ESCAPE_H
#define AGENT_STATUS_ESCAPE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/own.h"

bool escape_html(struct buf *out, const char *text) MUST_USE;  // element and attribute text
bool escape_label(struct buf *out, const char *text) MUST_USE; // a Prometheus label value
bool escape_plain(struct buf *out, const char *text) MUST_USE; // clean UTF-8: JSON, a terminal

#endif
