// The application's probes at the health port: /app-health/<container>/{livez,readyz,startupz} and
// /app-lifecycle/<container>/{prestopz,poststartz}, for those that status.probes names.
#ifndef AGENT_STATUS_ROUTES_PROBE_H
#define AGENT_STATUS_ROUTES_PROBE_H

#include <stdbool.h>

#include "agent/status/routes.h"

// True when the request was for a probe: it is answered, or will be.
bool routes_probe_handle(struct routes *routes, const struct http_request *request,
                         struct http_response *response);

#endif
