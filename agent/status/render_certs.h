// /certs: every certificate that the agent has or trusts, as JSON.
#ifndef AGENT_STATUS_RENDER_CERTS_H
#define AGENT_STATUS_RENDER_CERTS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/status/status.h"
#include "base/buf.h"

struct render_certs_input {
    const struct identity_view *identity; // our own, and the trust bundles
    const struct trust_set *trusted;      // its user's certificates; NULL: there is no trust store
    const struct view *configured;        // `certificates`
    int64_t now_ms;
};

// False when memory is short.
bool render_certs_json(struct buf *out, const struct render_certs_input *input) MUST_USE;

#endif
