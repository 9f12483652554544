// Plain views: the workers fill them in, the status port renders them and sees no live object.
#ifndef AGENT_OBSERVE_VIEW_H
#define AGENT_OBSERVE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/observe/certificate_view.h"
#include "agent/observe/host_view.h"
#include "agent/observe/observe.h"
#include "base/netaddr.h"
#include "certmgr/svid.h"

enum view_part {
    VIEW_CONNECTIONS = 1,
    VIEW_TUNNELS = 2,
    VIEW_LISTENERS = 4,
    VIEW_DESTINATIONS = 8,
    VIEW_REFUSALS = 16,
    VIEW_CERTIFICATES = 32,
};

struct connection_view {
    uint64_t id;
    enum direction direction;
    const char *state;    // static text
    const char *security; // "mutual_tls" or "none"; static text
    struct netaddr source;
    struct netaddr destination; // original
    struct netaddr via;         // tunnel or TLS endpoint; NETADDR_NONE when plain
    char own_id[256];           // cut when longer
    char peer_id[256];          // "" when not verified
    char peer_serial[SVID_SERIAL_TEXT_MAX];
    int64_t peer_not_after; // Unix seconds; 0 when there is none
    int64_t opened_at_ms;   // wall clock
    uint64_t bytes_sent;    // from the local application
    uint64_t bytes_received;
    uint64_t tunnel_id; // 0: none
    char rule[64];      // the rule that decided; "" for defaults
};

struct tunnel_view {
    uint64_t id;
    enum direction direction;
    const char *state;
    struct netaddr peer;
    char own_id[256];
    char own_serial[SVID_SERIAL_TEXT_MAX];
    char peer_id[256];
    char peer_serial[SVID_SERIAL_TEXT_MAX];
    int64_t peer_not_after;
    uint64_t identity_generation;
    uint32_t streams_open;
    uint64_t streams_total;
    int64_t opened_at_ms;
    const char *tls_version, *cipher, *group, *aead; // static text
    unsigned worker;
};

struct listener_view {
    const char *kind; // "outbound", "explicit", "inbound", "tunnel", "port", "status", "health"
    struct netaddr address;
    struct netaddr destination; // of explicit ones, else NETADDR_NONE
    char host[256];             // of explicit ones that lead to one; then only the port counts
    const char *mode;           // "", "strict", "permissive", "disabled", "tunnelOnly"
    bool accepting;
};

// A destination's membership in the mesh.
struct destination_view {
    struct netaddr address;     // port 0
    const char *state;          // "pinned", "plaintext", "unreachable"
    char peer_id[256];          // of pinned ones
    int64_t since_ms, until_ms; // wall clock
    char last_error[128];
};

// A connection that was refused or failed; the last 256 are kept.
struct refusal_view {
    int64_t at_ms; // wall clock
    enum direction direction;
    enum close_reason reason;
    struct netaddr source, destination;
    char peer_id[256];
    char peer_subject[256]; // as the certificate claims it, of TLS that ends at a port
    char rule[64];          // that refused; a key of inbound.ports[] or a rule's name; "" for none
    char detail[256];       // one sentence with what was attempted and expected
};

struct view { // growing arrays; view_fini frees them
    struct connection_view *connections;
    size_t num_connections, cap_connections;
    struct tunnel_view *tunnels;
    size_t num_tunnels, cap_tunnels;
    struct listener_view *listeners;
    size_t num_listeners, cap_listeners;
    struct destination_view *destinations;
    size_t num_destinations, cap_destinations;
    struct host_view *hosts;
    size_t num_hosts, cap_hosts;
    struct refusal_view *refusals; // newest first
    size_t num_refusals, cap_refusals;
    struct certificate_view *certificates;
    size_t num_certificates, cap_certificates;
    unsigned workers_missing; // workers that did not answer in time
};

void view_fini(struct view *view);
// Each returns a zeroed new element, NULL when memory is short.
struct connection_view *view_add_connection(struct view *view);
struct tunnel_view *view_add_tunnel(struct view *view);
struct listener_view *view_add_listener(struct view *view);
struct destination_view *view_add_destination(struct view *view);
struct host_view *view_add_host(struct view *view);
struct refusal_view *view_add_refusal(struct view *view);
struct certificate_view *view_add_certificate(struct view *view);

#endif
