// The identity source that a configuration asks for: which kind, with which options, and whether
// another configuration asks for the same one.
#ifndef AGENT_CONTROL_IDENTITY_SOURCE_H
#define AGENT_CONTROL_IDENTITY_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/config/config.h"
#include "base/err.h"
#include "base/own.h"
#include "certmgr/source.h"

// Starts it. `sink` is borrowed and outlives the source. NULL with the sentence on error.
struct source *identity_source_start(const struct config_identity *identity,
                                     struct source_sink *sink, struct err *err) MUST_USE;
// True when a running source of `a` serves `b` as well.
bool identity_source_is_same(const struct config_identity *a, const struct config_identity *b);
// Where certificates come from, for one log line: an endpoint, an address or a path. Borrowed.
const char *identity_source_place(const struct config_identity *identity);

#endif
