// Who may ask the status port what: the port is on loopback, which every page in a browser and
// every process of the host can reach (DNS rebinding, CSRF, SSRF). Pure.
#ifndef AGENT_STATUS_GUARD_H
#define AGENT_STATUS_GUARD_H

#include "agent/status/http_server.h"

struct guard_verdict {
    unsigned status;      // 0: let it through
    const char *sentence; // static text
};

// For requests on the status listener. `changes` says that the route changes state.
struct guard_verdict guard_decide(const struct http_request *request, bool changes);

#endif
