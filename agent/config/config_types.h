// The shape of the configuration: plain structs that mirror the YAML.
#ifndef AGENT_CONFIG_CONFIG_TYPES_H
#define AGENT_CONFIG_CONFIG_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/config/config_edge.h"
#include "agent/config/config_identity.h"
#include "agent/config/config_lists.h"
#include "agent/config/config_status.h"
#include "agent/config/config_trust.h"
#include "base/log.h"
#include "base/netaddr.h"

struct outbound_rule {
    char *name;               // never NULL: "destinations[2]" when not set
    struct string_list hosts; // DNS names: the addresses that they have at the moment
    struct prefix_list networks;
    struct port_list ports;
    struct string_list peers; // SPIFFE patterns; empty: any identity of the own trust domain
    char *server_name;        // DNS name to verify and to send as SNI; NULL: by SPIFFE ID
    char *ciphers;            // of TLS 1.2, replaces the default; NULL: the default
    struct certificate_refs server_certs;
    struct subject_rule *authorized_subjects; // of the server; one has to match fully
    size_t num_authorized_subjects;
    struct string_list alpn; // best first
    char *client_cert;       // never NULL: "workload", or a name of outbound.certificates
    enum outbound_tls tls;
    enum tls_version min_version; // never UNSAID; a mesh tunnel is TLS 1.3 anyway
    unsigned line;
    bool has_hosts, has_networks, has_ports;
    bool has_server_certs;
    bool has_subjects;
    bool verify; // the server; false only where config_rule_has_own_tls
};

struct outbound_listener {
    struct netaddr listen;
    struct config_place destination;
};

struct config_outbound {
    struct address_list listen;
    struct outbound_listener *listeners;
    size_t num_listeners;
    struct prefix_list mesh_networks;
    uint16_t mesh_port;
    bool mesh_plaintext_when_unreachable;
    int64_t mesh_pin_for_ms;
    struct string_list mesh_peers; // SPIFFE patterns; empty: any identity of the own trust domain
    struct outbound_rule *rules;   // outbound.destinations, first match wins
    size_t num_rules;
    struct edge_certificate_options *certificates; // of clientCert; without names and rules
    size_t num_certificates;
};

struct authorization_rule {
    bool allow;
    bool has_peers; // an absent key means any; a present empty list matches nothing
    struct string_list peers;
    bool has_networks;
    struct prefix_list networks;
    bool has_ports;
    struct port_list ports;
    unsigned line;
};

struct inbound_port {
    uint16_t port;
    bool has_deliver;
    struct netaddr deliver;
    bool has_listen;
    struct netaddr listen;
    enum inbound_tls_mode tls_mode;
    struct edge_options edge; // where TLS ends at the port
    unsigned line;
};

struct config_inbound {
    struct address_list listen, tunnel;
    bool strict; // inbound.mode
    bool has_authorization;
    struct authorization_rule *authorization;
    size_t num_authorization;
    struct inbound_port *ports;
    size_t num_ports;
};

struct config_intercept {
    uint32_t uid; // the agent's own
    uint32_t *app_uids;
    size_t num_app_uids;
    struct port_list inbound_include_ports, inbound_exclude_ports;
    struct port_list outbound_include_ports, outbound_exclude_ports;
    struct prefix_list outbound_include_networks, outbound_exclude_networks;
    struct string_list exclude_interfaces;
};

// What happens where a layer of the sandbox cannot be had.
enum sandbox_mode { SANDBOX_BEST_EFFORT, SANDBOX_REQUIRED, SANDBOX_OFF };

struct config {
    struct config_identity identity;
    struct config_outbound outbound;
    struct config_inbound inbound;
    struct config_intercept intercept;
    struct config_trust_store trust_store;
    struct config_status status;
    int64_t drain_deadline_ms;
    bool drain_with_application;
    unsigned workers; // 0: auto
    enum sandbox_mode sandbox;
    bool kubernetes_services; // their addresses: ask which pod is behind them, and answer
    enum log_level log_level;
    enum log_format log_format;
};

#endif
