// Where the redirect rules send connections: the ports of the agent's listeners, per address
// family. A family without a listener is redirected all the same: nobody answers there, so its
// connections are refused and nothing leaves past the agent. Pure.
#ifndef AGENT_INTERCEPT_REDIRECT_H
#define AGENT_INTERCEPT_REDIRECT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/config/config_types.h"
#include "base/buf.h"
#include "base/own.h"

struct redirect {
    bool is_on; // false: this direction is not redirected, the ports are 0
    uint16_t port_v4;
    uint16_t port_v6;
    bool has_v4; // a listener takes what is redirected
    bool has_v6;
};

// The host's own connections: they arrive at 127.0.0.1 and ::1.
struct redirect redirect_outbound(const struct config_outbound *outbound);
// Connections to the host: they arrive at an address of the interface they came in on.
struct redirect redirect_inbound(const struct config_inbound *inbound);

// Appends one line per thing worth saying about the listeners. False when memory is short.
bool redirect_render_warnings(const struct config *config, struct buf *out) MUST_USE;

#endif
