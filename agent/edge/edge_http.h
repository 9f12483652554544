// What inbound.ports says about HTTP at a port, loaded: one policy for the port, and one for each
// certificate whose names have rules of their own. Immutable; belongs to the edge_port.
#ifndef AGENT_EDGE_EDGE_HTTP_H
#define AGENT_EDGE_EDGE_HTTP_H

#include "agent/config/config_types.h"
#include "agent/http/http_edge.h"
#include "agent/http/http_policy.h"
#include "agent/tls/edge_server.h"
#include "base/err.h"

struct edge_http {
    struct http_policy *policy;        // NULL: the port does not speak HTTP
    struct http_policy **certificates; // as many as the server has; an item may be NULL
    size_t num_certificates;
    enum http_version application;
};

// `server` is loaded. False with the sentence, which begins with the key that is wrong.
bool edge_http_load(struct edge_http *out, const struct inbound_port *port,
                    const struct edge_server *server, struct err *err) MUST_USE;
void edge_http_fini(struct edge_http *http);

// The policy for a connection that was judged by `rules`; NULL: it came without TLS of this port.
const struct http_policy *edge_http_policy(const struct edge_http *http,
                                           const struct edge_server *server,
                                           const struct edge_rules *rules);

#endif
