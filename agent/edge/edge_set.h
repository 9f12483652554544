// What inbound.ports and outbound.destinations say about TLS, loaded: certificates and keys read,
// lists parsed, contexts made. Immutable and shared by reference count; a reload makes a new one as
// a whole or none.
#ifndef AGENT_EDGE_EDGE_SET_H
#define AGENT_EDGE_EDGE_SET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "agent/config/config.h"
#include "agent/edge/edge_asked.h"
#include "agent/edge/edge_load.h"
#include "agent/edge/edge_port.h"
#include "agent/edge/origin_set.h"

struct edge_set {
    atomic_uint num_refs;
    struct config *config; // that it was loaded from
    struct edge_port *ports;
    size_t num_ports;
    struct origin_set *origins;
    struct edge_asked_list asked; // certificates whose responses come from a responder
};

// NULL when there was any mistake: all of them are in `errors`.
struct edge_set *edge_set_load(struct config *config, const struct edge_load *load) MUST_USE;
struct edge_set *edge_set_ref(struct edge_set *set);
void edge_set_unref(struct edge_set *set);
OWN_DEFINE(struct edge_set, edge_set_unref)

// The port's; NULL: it is neither. `set` may be NULL.
const struct edge_port *edge_set_find(const struct edge_set *set, uint16_t port);
// How to connect by a rule of the set's configuration; NULL: it has no TLS of its own. `set` may be
// NULL.
const struct edge_app *edge_set_origin(const struct edge_set *set,
                                       const struct outbound_rule *rule);
// What the rule offers by ALPN, in the wire's form. `set` may be NULL.
struct span edge_set_alpn(const struct edge_set *set, const struct outbound_rule *rule);

#endif
