// The questions that a finished configuration answers.
#include "agent/config/config.h"

#include <string.h>

const char *outbound_tls_name(enum outbound_tls tls) {
    switch (tls) {
    case OUTBOUND_MESH:
        return "mesh";
    case OUTBOUND_MUTUAL:
        return "mutual";
    case OUTBOUND_SIMPLE:
        return "simple";
    case OUTBOUND_PASSTHROUGH:
        return "passthrough";
    case OUTBOUND_DENY:
        return "deny";
    }
    return "unknown";
}

const char *identity_source_name(enum identity_source source) {
    switch (source) {
    case IDENTITY_WORKLOAD_API:
        return "workloadApi";
    case IDENTITY_SDS:
        return "sds";
    case IDENTITY_ISTIO_CA:
        return "istioCa";
    case IDENTITY_FILES:
        return "files";
    }
    return "unknown";
}

const char *inbound_tls_mode_name(enum inbound_tls_mode mode) {
    switch (mode) {
    case INBOUND_FOLLOW_MODE:
        break;
    case INBOUND_DISABLED:
        return "disabled";
    case INBOUND_TUNNEL_ONLY:
        return "tunnelOnly";
    case INBOUND_PERMISSIVE:
        return "permissive";
    case INBOUND_REQUIRED:
        return "required";
    case INBOUND_PEERS_ONLY:
        return "peersOnly";
    }
    return "";
}

const struct inbound_port *config_inbound_port(const struct config *config, uint16_t port) {
    for (size_t i = 0; i < config->inbound.num_ports; i++) {
        if (config->inbound.ports[i].port == port) {
            return &config->inbound.ports[i];
        }
    }
    return NULL;
}

bool config_port_terminates(const struct inbound_port *port) {
    return port->tls_mode >= INBOUND_PERMISSIVE && port->edge.app_tls != APP_TLS_PASSTHROUGH;
}

bool config_rule_has_own_tls(const struct outbound_rule *rule) {
    return rule->tls == OUTBOUND_SIMPLE ||
           (rule->tls == OUTBOUND_MUTUAL && (rule->server_certs.num > 0 || !rule->verify));
}

bool config_rule_shows_identity(const struct outbound_rule *rule) {
    return rule->tls == OUTBOUND_MUTUAL && strcmp(rule->client_cert, "workload") == 0;
}

size_t config_client_certificate(const struct config *config, const char *name) {
    size_t i = 0;
    while (i < config->outbound.num_certificates &&
           strcmp(config->outbound.certificates[i].name, name) != 0) {
        i++;
    }
    return i;
}

const struct outbound_listener *config_outbound_listener(const struct config *config,
                                                         const struct netaddr *listen) {
    for (size_t i = 0; i < config->outbound.num_listeners; i++) {
        if (netaddr_equal(&config->outbound.listeners[i].listen, listen)) {
            return &config->outbound.listeners[i];
        }
    }
    return NULL;
}

bool port_list_contains(const struct port_list *list, uint16_t port) {
    for (size_t i = 0; i < list->num; i++) {
        if (port >= list->items[i].first && port <= list->items[i].last) {
            return true;
        }
    }
    return false;
}

bool prefix_list_contains(const struct prefix_list *list, const struct netaddr *addr) {
    for (size_t i = 0; i < list->num; i++) {
        if (netaddr_prefix_contains(&list->items[i], addr)) {
            return true;
        }
    }
    return false;
}

static bool list_has_port(const struct address_list *list, uint16_t port) {
    for (size_t i = 0; i < list->num; i++) {
        if (list->items[i].port == port) {
            return true;
        }
    }
    return false;
}

bool config_is_own_port(const struct config *config, uint16_t port) {
    return list_has_port(&config->outbound.listen, port) ||
           list_has_port(&config->inbound.listen, port) ||
           list_has_port(&config->inbound.tunnel, port) ||
           (config->status.has_listen && config->status.listen.port == port) ||
           (config->status.has_health && config->status.health.port == port);
}

bool config_listener_covers(const struct netaddr *listener, const struct netaddr *addr) {
    if (listener->port != addr->port || listener->family != addr->family) {
        return false;
    }
    return netaddr_is_any(listener) || netaddr_ip_equal(listener, addr);
}

static bool list_covers(const struct address_list *list, const struct netaddr *addr) {
    for (size_t i = 0; i < list->num; i++) {
        if (config_listener_covers(&list->items[i], addr)) {
            return true;
        }
    }
    return false;
}

// A wildcard listener on a port that other hosts use as well: only what is surely this host counts.
static bool covers_locally(const struct netaddr *listener, const struct netaddr *addr) {
    return config_listener_covers(listener, addr) &&
           (!netaddr_is_any(listener) || netaddr_is_loopback(addr));
}

static bool explicit_covers(const struct config *config, const struct netaddr *addr) {
    for (size_t i = 0; i < config->outbound.num_listeners; i++) {
        if (covers_locally(&config->outbound.listeners[i].listen, addr)) {
            return true;
        }
    }
    for (size_t i = 0; i < config->inbound.num_ports; i++) {
        const struct inbound_port *port = &config->inbound.ports[i];
        if (port->has_listen && covers_locally(&port->listen, addr)) {
            return true;
        }
    }
    return false;
}

bool config_is_own_listener(const struct config *config, const struct netaddr *addr) {
    const struct config_status *status = &config->status;
    return list_covers(&config->outbound.listen, addr) ||
           list_covers(&config->inbound.listen, addr) ||
           list_covers(&config->inbound.tunnel, addr) || explicit_covers(config, addr) ||
           (status->has_listen && config_listener_covers(&status->listen, addr)) ||
           (status->has_health && covers_locally(&status->health, addr));
}
