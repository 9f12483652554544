// What /trust said as JSON, for people. Pure. A door to jansson.
#ifndef AGENT_COMMAND_STATUS_TRUST_H
#define AGENT_COMMAND_STATUS_TRUST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

bool status_trust_render(struct span json, int64_t now_ms, struct buf *out,
                         struct err *err) MUST_USE;

#endif
