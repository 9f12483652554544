// The redirect rules as nft text: struct config in, text out, no I/O.
//
// One table, inet pavise, for IPv4 and IPv6. The text first adds and deletes it and then gives it
// whole; nft loads that in one transaction, so that putting rules in again is idempotent and
// connections that are already redirected keep flowing. Nothing in the text is copied from the
// configuration: numbers and addresses are printed from their values, and interface names are
// checked again here.
#ifndef AGENT_INTERCEPT_RULES_H
#define AGENT_INTERCEPT_RULES_H

#include <stdbool.h>

#include "agent/config/config_types.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"

#define RULES_TABLE "inet pavise"

// Appends the transaction that replaces whatever rules are in force. A direction without listeners
// gets no rules. ERR_INPUT when an interface's name is not one.
bool rules_render(const struct config *config, struct buf *out, struct err *err) MUST_USE;

// Appends the transaction that leaves nothing behind, whether or not there were rules.
bool rules_render_removal(struct buf *out, struct err *err) MUST_USE;

#endif
