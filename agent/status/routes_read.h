// The routes that only read.
#ifndef AGENT_STATUS_ROUTES_READ_H
#define AGENT_STATUS_ROUTES_READ_H

#include "agent/status/routes.h"

// One route's handler.
typedef void routes_fn(struct routes *routes, const struct http_request *request,
                       struct http_response *response);

routes_fn routes_read_page;
routes_fn routes_read_livez;
routes_fn routes_read_readyz;
routes_fn routes_read_startupz;
routes_fn routes_read_metrics;
routes_fn routes_read_identity;
routes_fn routes_read_certs;
routes_fn routes_read_listeners;
routes_fn routes_read_ports;
routes_fn routes_read_connections;
routes_fn routes_read_tunnels;
routes_fn routes_read_destinations;
routes_fn routes_read_refusals;
routes_fn routes_read_trust;
routes_fn routes_read_config;

#endif
