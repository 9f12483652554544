// Who may talk to whom: pure choices over the configuration, no I/O, no state.
#ifndef AGENT_POLICY_POLICY_H
#define AGENT_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/config/config.h"
#include "agent/names/host_table.h"
#include "base/netaddr.h"
#include "certmgr/spiffe_id.h"

enum outbound_action {
    OUTBOUND_TO_MESH,    // a tunnel, or refuse
    OUTBOUND_TRY_MESH,   // inside mesh.networks, no rule: try the tunnel port, then on_unreachable
    OUTBOUND_TO_MUTUAL,  // TLS with the workload certificate
    OUTBOUND_TO_SERVER,  // TLS to a server that the rule's own lists judge
    OUTBOUND_PLAIN,      // passthrough
    OUTBOUND_REFUSE,     // a rule says deny
    OUTBOUND_REFUSE_OWN, // the destination is one of our own listeners: a loop
    OUTBOUND_UNRESOLVED, // the rule is for host names that DNS has not answered for yet
};

struct outbound_decision {
    enum outbound_action action;
    const struct outbound_rule *rule; // NULL: no rule, the defaults decided; borrowed
    const char *host;                 // that the destination is one of, as far as is known; or NULL
    const struct string_list *peers;  // acceptable SPIFFE patterns; empty: own trust domain
};

struct outbound_target {
    const struct netaddr *addr;
    const char *host; // that it is known to be an address of; NULL: none
    // It came from SO_ORIGINAL_DST, where loopback addresses are refused; an explicit listener may
    // name them.
    bool redirected;
};

// `hosts` may be NULL: then no name is known.
struct outbound_decision policy_outbound_decide(const struct config *config,
                                                const struct host_table *hosts,
                                                const struct outbound_target *target);

// True when `id` is acceptable for `peers`: a pattern matches, or the list is empty and the trust
// domain is `own_trust_domain`.
bool policy_peer_is_acceptable(const struct string_list *peers, struct span own_trust_domain,
                               const struct spiffe_id *id);

struct authorization_decision {
    bool allow;
    int rule; // index of the deciding rule; -1: no rule matched, or the default decided
};

// inbound.authorization for a tunnel stream: `peer` verified, `source` the peer's address, `port`
// the one asked for. First match wins; no match refuses; no list allows the own trust domain.
struct authorization_decision policy_authorize(const struct config *config,
                                               struct span own_trust_domain,
                                               const struct spiffe_id *peer,
                                               const struct netaddr *source, uint16_t port);

enum inbound_action {
    INBOUND_PASS,
    INBOUND_REFUSE,
    INBOUND_LOOK, // the port's tlsMode decides by the first byte
};

// A direct (non-tunnel) connection to `port`.
enum inbound_action policy_inbound_direct_decide(const struct config *config, uint16_t port);

// Why a CONNECT authority is not acceptable; NULL when it is. `is_own_address`: the host part is an
// address of this host. On success `deliver` is where to dial.
const char *policy_connect_target(const struct config *config, const struct netaddr *authority,
                                  bool is_own_address, struct netaddr *deliver);

#endif
