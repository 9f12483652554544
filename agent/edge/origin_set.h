// What outbound.destinations says about TLS to servers outside, loaded: lists read, contexts made.
// Part of an edge_set; immutable, one owner.
#ifndef AGENT_EDGE_ORIGIN_SET_H
#define AGENT_EDGE_ORIGIN_SET_H

#include "agent/config/config.h"
#include "agent/edge/edge_load.h"
#include "agent/tls/edge_app.h"
#include "agent/tls/edge_server.h"

struct origin_set;

// Of every rule with a TLS of its own. `config` is borrowed for the set's life. NULL when there was
// any mistake: all of them are in `load->errors`.
struct origin_set *origin_set_load(const struct config *config,
                                   const struct edge_load *load) MUST_USE;
void origin_set_free(struct origin_set *set);
OWN_DEFINE(struct origin_set, origin_set_free)

// Those of outbound.certificates, in order.
const struct edge_certificate *origin_set_certificates(const struct origin_set *set, size_t *num);
// What a rule of the set's configuration offers by ALPN, in the wire's form; also without a TLS of
// its own.
struct span origin_set_alpn(const struct origin_set *set, const struct outbound_rule *rule);

// By a rule of the set's configuration; NULL: it has no TLS of its own.
const struct edge_app *origin_set_find(const struct origin_set *set,
                                       const struct outbound_rule *rule);

#endif
