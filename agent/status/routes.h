// What the status port and the health port answer: one table of routes.
#ifndef AGENT_STATUS_ROUTES_H
#define AGENT_STATUS_ROUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/observe/view.h"
#include "agent/status/http_server.h"
#include "agent/status/status.h"

// Tags of the listeners.
enum routes_port { ROUTES_STATUS = 1, ROUTES_HEALTH = 2 };

struct routes {
    struct ev_loop *loop;
    struct status_backend backend;
    bool was_ready;              // /startupz: ready once
    struct listener_view own[2]; // the status port's own listeners, for /listeners
    size_t num_own;
};

// An http_handle_fn; `arg` is a struct routes.
void routes_handle(void *arg, const struct http_request *request, struct http_response *response);

#endif
