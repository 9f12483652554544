#include "agent/policy/policy.h"

#include <strings.h>

enum match { MATCH_NO, MATCH_YES, MATCH_UNKNOWN };

// Whether the destination is an address of one of the rule's hosts; `*host` is which. While DNS has
// not answered for one of them, nobody knows that it is of none.
static enum match match_hosts(const struct string_list *names, const struct host_table *hosts,
                              const struct outbound_target *target, const char **host) {
    enum match match = MATCH_NO;
    for (size_t i = 0; i < names->num; i++) {
        const struct host_entry *entry = host_table_find(hosts, names->items[i]);
        bool same = target->host != NULL && strcasecmp(target->host, names->items[i]) == 0;
        if (same || (entry != NULL && host_entry_has(entry, target->addr))) {
            *host = names->items[i];
            return MATCH_YES;
        }
        match = entry == NULL || !entry->is_known ? MATCH_UNKNOWN : match;
    }
    return match;
}

static enum match match_rule(const struct outbound_rule *rule, const struct host_table *hosts,
                             const struct outbound_target *target, const char **host) {
    bool others = (!rule->has_networks || prefix_list_contains(&rule->networks, target->addr)) &&
                  (!rule->has_ports || port_list_contains(&rule->ports, target->addr->port));
    return !others            ? MATCH_NO
           : !rule->has_hosts ? MATCH_YES
                              : match_hosts(&rule->hosts, hosts, target, host);
}

static enum outbound_action action_of(const struct outbound_rule *rule) {
    if (config_rule_has_own_tls(rule)) {
        return OUTBOUND_TO_SERVER;
    }
    switch (rule->tls) {
    case OUTBOUND_MESH:
        return OUTBOUND_TO_MESH;
    case OUTBOUND_MUTUAL:
        return OUTBOUND_TO_MUTUAL;
    case OUTBOUND_SIMPLE:
        return OUTBOUND_TO_SERVER;
    case OUTBOUND_PASSTHROUGH:
        return OUTBOUND_PLAIN;
    case OUTBOUND_DENY:
        return OUTBOUND_REFUSE;
    }
    return OUTBOUND_REFUSE;
}

static struct outbound_decision decide_by_rule(const struct config *config,
                                               const struct outbound_rule *rule) {
    // mesh.peers stands in for a mesh rule without peers; a server of its own kind answers to its
    // rule alone.
    bool has_own_peers = rule->peers.num > 0 || rule->tls != OUTBOUND_MESH;
    return (struct outbound_decision){
        .action = action_of(rule),
        .rule = rule,
        .peers = has_own_peers ? &rule->peers : &config->outbound.mesh_peers,
    };
}

struct outbound_decision policy_outbound_decide(const struct config *config,
                                                const struct host_table *hosts,
                                                const struct outbound_target *target) {
    const struct config_outbound *outbound = &config->outbound;
    struct outbound_decision decision = {.peers = &outbound->mesh_peers, .host = target->host};
    // The unspecified address reaches this host itself.
    if (netaddr_is_any(target->addr) || config_is_own_listener(config, target->addr) ||
        (target->redirected && netaddr_is_loopback(target->addr))) {
        decision.action = OUTBOUND_REFUSE_OWN;
        return decision;
    }
    for (size_t i = 0; i < outbound->num_rules; i++) {
        const struct outbound_rule *rule = &outbound->rules[i];
        const char *host = target->host;
        enum match match = match_rule(rule, hosts, target, &host);
        if (match != MATCH_NO) {
            decision = decide_by_rule(config, rule);
            decision.host = host;
            decision.action = match == MATCH_YES ? decision.action : OUTBOUND_UNRESOLVED;
            return decision;
        }
    }
    bool may_be_mesh = prefix_list_contains(&outbound->mesh_networks, target->addr);
    decision.action = may_be_mesh ? OUTBOUND_TRY_MESH : OUTBOUND_PLAIN;
    return decision;
}

static bool pattern_list_matches(const struct string_list *patterns, const struct spiffe_id *id) {
    for (size_t i = 0; i < patterns->num; i++) {
        if (spiffe_pattern_matches(span_of_text(patterns->items[i]), id)) {
            return true;
        }
    }
    return false;
}

bool policy_peer_is_acceptable(const struct string_list *peers, struct span own_trust_domain,
                               const struct spiffe_id *id) {
    if (peers->num > 0) {
        return pattern_list_matches(peers, id);
    }
    return span_equal(spiffe_id_trust_domain(id), own_trust_domain);
}

static bool authorization_matches(const struct authorization_rule *rule,
                                  const struct spiffe_id *peer, const struct netaddr *source,
                                  uint16_t port) {
    return (!rule->has_peers || pattern_list_matches(&rule->peers, peer)) &&
           (!rule->has_networks || prefix_list_contains(&rule->networks, source)) &&
           (!rule->has_ports || port_list_contains(&rule->ports, port));
}

struct authorization_decision policy_authorize(const struct config *config,
                                               struct span own_trust_domain,
                                               const struct spiffe_id *peer,
                                               const struct netaddr *source, uint16_t port) {
    const struct config_inbound *inbound = &config->inbound;
    struct authorization_decision decision = {.allow = false, .rule = -1};
    if (!inbound->has_authorization) {
        decision.allow = span_equal(spiffe_id_trust_domain(peer), own_trust_domain);
        return decision;
    }
    for (size_t i = 0; i < inbound->num_authorization; i++) {
        const struct authorization_rule *rule = &inbound->authorization[i];
        if (authorization_matches(rule, peer, source, port)) {
            decision.allow = rule->allow;
            decision.rule = (int)i;
            return decision;
        }
    }
    return decision;
}

enum inbound_action policy_inbound_direct_decide(const struct config *config, uint16_t port) {
    const struct inbound_port *entry = config_inbound_port(config, port);
    switch (entry == NULL ? INBOUND_FOLLOW_MODE : entry->tls_mode) {
    case INBOUND_DISABLED:
        return INBOUND_PASS;
    case INBOUND_TUNNEL_ONLY:
        return INBOUND_REFUSE;
    case INBOUND_PERMISSIVE:
    case INBOUND_REQUIRED:
    case INBOUND_PEERS_ONLY:
        return INBOUND_LOOK;
    case INBOUND_FOLLOW_MODE:
        break;
    }
    return config->inbound.strict ? INBOUND_REFUSE : INBOUND_PASS;
}

// `addr` is this host's own, so here an explicit listener on the unspecified address takes it.
static bool is_taken_by_listener(const struct config *config, const struct netaddr *addr) {
    for (size_t i = 0; i < config->outbound.num_listeners; i++) {
        if (config_listener_covers(&config->outbound.listeners[i].listen, addr)) {
            return true;
        }
    }
    for (size_t i = 0; i < config->inbound.num_ports; i++) {
        const struct inbound_port *port = &config->inbound.ports[i];
        if (port->has_listen && config_listener_covers(&port->listen, addr)) {
            return true;
        }
    }
    return false;
}

const char *policy_connect_target(const struct config *config, const struct netaddr *authority,
                                  bool is_own_address, struct netaddr *deliver) {
    if (config_is_own_port(config, authority->port)) {
        return "the port is one of the agent's own";
    }
    if (!is_own_address || netaddr_is_any(authority) || authority->family == NETADDR_NONE) {
        return "the address is not one of this host";
    }
    const struct inbound_port *entry = config_inbound_port(config, authority->port);
    if (entry != NULL && entry->has_deliver) {
        *deliver = entry->deliver;
        return NULL;
    }
    if (netaddr_is_loopback(authority)) {
        return "a loopback address is only for ports that have deliver";
    }
    if (is_taken_by_listener(config, authority)) {
        return "the agent itself listens there";
    }
    *deliver = *authority;
    return NULL;
}
