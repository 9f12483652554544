// One port of inbound.ports where TLS ends or that speaks HTTP, loaded: certificates and keys read,
// lists parsed, contexts made. Part of an edge_set, its owner; immutable once loaded.
#ifndef AGENT_EDGE_EDGE_PORT_H
#define AGENT_EDGE_EDGE_PORT_H

#include <stdbool.h>

#include "agent/config/config.h"
#include "agent/edge/edge_asked.h"
#include "agent/edge/edge_http.h"
#include "agent/edge/edge_load.h"
#include "agent/tls/edge_app.h"
#include "agent/tls/edge_server.h"

struct edge_port {
    const struct inbound_port *options; // of the set's configuration
    struct edge_server server;
    struct edge_app app;   // only with appTls reencrypt
    struct edge_http http; // only with protocol http
};

struct edge_port_source {
    const struct config *config;
    const struct edge_load *load;
    struct edge_asked_list *asked; // certificates whose responses come from a responder are added
};

// Fills `port`, which is all zero. False when there was any mistake: all of them are in
// `from->load->errors`. Call edge_port_fini in any case.
bool edge_port_load(struct edge_port *port, const struct inbound_port *options,
                    const struct edge_port_source *from) MUST_USE;
void edge_port_fini(struct edge_port *port);

#endif
