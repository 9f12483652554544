#include "agent/config/config_rules.h"

#include <string.h>

#include "agent/config/config.h"
#include "agent/config/edge_rules.h"
#include "agent/config/identity_rules.h"
#include "agent/config/listeners.h"
#include "agent/config/outbound_rules.h"
#include "agent/config/trust_rules.h"

// What every check looks at.
struct scene {
    const struct config *config;
    const struct yaml_tree_node *root;
    const struct listeners *listeners;
    struct report *report;
};

static const struct yaml_tree_node *find(const struct scene *scene, const char *section,
                                         const char *key) {
    return yaml_tree_find(yaml_tree_find(scene->root, section), key);
}

static const struct yaml_tree_node *first_item(const struct yaml_tree_node *list) {
    return list == NULL || list->kind != YAML_TREE_SEQUENCE ? NULL : list->first;
}

// The place of `key` in an item; the item itself where it has no such key.
static struct report_place place_in(const struct yaml_tree_node *item, const char *key) {
    const struct yaml_tree_node *node = yaml_tree_find(item, key);
    return node == NULL ? item->place : node->place;
}

static struct report_place key_place(const struct yaml_tree_node *item, const char *key) {
    const struct yaml_tree_node *node = yaml_tree_find(item, key);
    return node == NULL ? item->place : node->key->place;
}

static void check_clashes(const struct scene *scene) {
    const struct listeners *all = scene->listeners;
    for (size_t i = 0; i < all->num; i++) {
        size_t other = listeners_find_clash(all, i);
        if (other == all->num) {
            continue;
        }
        char text[NETADDR_TEXT_MAX];
        const struct listener *own = &all->items[i];
        bool is_default = own->place.line == 0;
        const struct listener *said = is_default ? &all->items[other] : own;
        const struct listener *before = is_default ? own : &all->items[other];
        report_add(scene->report, REPORT_ERROR, said->place, "%s: %s is taken by %s", said->what,
                   netaddr_format(&said->addr, text), before->what);
    }
}

static void check_outbound_listeners(const struct scene *scene) {
    const struct config_outbound *outbound = &scene->config->outbound;
    const struct yaml_tree_node *item = first_item(find(scene, "outbound", "listeners"));
    for (size_t i = 0; item != NULL && i < outbound->num_listeners; i++, item = item->next) {
        const struct outbound_listener *listener = &outbound->listeners[i];
        if (item->is_bad) {
            continue;
        }
        const struct config_place *to = &listener->destination;
        if (to->host == NULL && netaddr_is_any(&to->addr)) {
            report_add(scene->report, REPORT_ERROR, place_in(item, "destination"),
                       "destination: connections cannot go to the unspecified address");
        } else if (to->host == NULL && config_is_own_listener(scene->config, &to->addr)) {
            report_add(scene->report, REPORT_ERROR, place_in(item, "destination"),
                       "destination: this is one of the agent's own listeners, a loop");
        }
        if (!netaddr_is_loopback(&listener->listen)) {
            report_add(scene->report, REPORT_WARNING, place_in(item, "listen"),
                       "listen: whoever reaches this address acts with this host's identity");
        }
    }
}

static void check_destinations(const struct scene *scene) {
    const struct config_outbound *outbound = &scene->config->outbound;
    outbound_rules_check_certificates(scene->config, find(scene, "outbound", "certificates"),
                                      scene->report);
    const struct yaml_tree_node *item = first_item(find(scene, "outbound", "destinations"));
    unsigned catch_all_line = 0;
    for (size_t i = 0; item != NULL && i < outbound->num_rules; i++, item = item->next) {
        const struct outbound_rule *rule = &outbound->rules[i];
        if (catch_all_line != 0) {
            report_add(scene->report, REPORT_WARNING, item->place,
                       "this rule is never reached: the one in line %u matches everything",
                       catch_all_line);
        }
        if (item->is_bad) {
            continue;
        }
        outbound_rules_check(scene->config, rule, item, scene->report);
        if (catch_all_line == 0 && !rule->has_hosts && !rule->has_networks && !rule->has_ports) {
            catch_all_line = rule->line;
        }
    }
}

static void check_authorization(const struct scene *scene) {
    const struct config_inbound *inbound = &scene->config->inbound;
    const struct yaml_tree_node *item = first_item(find(scene, "inbound", "authorization"));
    unsigned catch_all_line = 0;
    for (size_t i = 0; item != NULL && i < inbound->num_authorization; i++, item = item->next) {
        const struct authorization_rule *rule = &inbound->authorization[i];
        if (catch_all_line != 0) {
            report_add(scene->report, REPORT_WARNING, item->place,
                       "this rule is never reached: the one in line %u matches everything",
                       catch_all_line);
        } else if (!item->is_bad && !rule->has_peers && !rule->has_networks && !rule->has_ports) {
            catch_all_line = rule->line;
        }
    }
}

static void check_deliver(const struct scene *scene, const struct inbound_port *port,
                          const struct yaml_tree_node *item) {
    if (!port->has_deliver) {
        if (port->has_listen) {
            report_add(scene->report, REPORT_ERROR, key_place(item, "listen"),
                       "listen needs deliver: another address or port, where the application is");
        }
        return;
    }
    const struct listener *listener = listeners_find_covering(scene->listeners, &port->deliver);
    if (netaddr_is_any(&port->deliver)) {
        report_add(scene->report, REPORT_ERROR, place_in(item, "deliver"),
                   "deliver: connections cannot go to the unspecified address");
    } else if (listener != NULL) {
        char text[NETADDR_TEXT_MAX];
        report_add(scene->report, REPORT_ERROR, place_in(item, "deliver"),
                   "deliver: the agent itself listens there (%s: %s), so this would be a loop",
                   listener->what, netaddr_format(&listener->addr, text));
    }
}

static void check_port(const struct scene *scene, size_t index, const struct yaml_tree_node *item) {
    const struct config *config = scene->config;
    const struct inbound_port *port = &config->inbound.ports[index];
    const struct inbound_port *same = config_inbound_port(config, port->port);
    if (same != port) {
        report_add(scene->report, REPORT_ERROR, place_in(item, "port"),
                   "port: there is an entry for %u in line %u already", port->port, same->line);
    }
    if (config_is_own_port(config, port->port)) {
        report_add(scene->report, REPORT_ERROR, place_in(item, "port"),
                   "port: %u is a port of the agent itself, not of the application", port->port);
    }
    check_deliver(scene, port, item);
    edge_rules_check(port, item, scene->report);
    bool refuses = port->tls_mode == INBOUND_TUNNEL_ONLY ||
                   (port->tls_mode == INBOUND_FOLLOW_MODE && config->inbound.strict);
    if (port->has_listen && refuses) {
        report_add(scene->report, REPORT_WARNING, key_place(item, "listen"),
                   "listen: direct connections to this port are all refused (tlsMode and mode)");
    }
}

static void check_ports(const struct scene *scene) {
    const struct yaml_tree_node *item = first_item(find(scene, "inbound", "ports"));
    for (size_t i = 0; item != NULL && i < scene->config->inbound.num_ports; i++) {
        if (!item->is_bad) {
            check_port(scene, i, item);
        }
        item = item->next;
    }
}

static void check_status(const struct scene *scene) {
    const struct config_status *status = &scene->config->status;
    const struct yaml_tree_node *listen = find(scene, "status", "listen");
    if (listen != NULL && !listen->is_bad && status->has_listen &&
        !netaddr_is_loopback(&status->listen)) {
        report_add(scene->report, REPORT_ERROR, listen->place,
                   "listen: the status port has to be on a loopback address; "
                   "status.health is for probes from outside");
    }
}

// Each record's connection would make records of its own. outbound.listeners may lead to a
// collector by way of mutual TLS.
static void check_audit(const struct scene *scene) {
    const char *address = scene->config->status.audit.address;
    const struct yaml_tree_node *node = yaml_tree_find(find(scene, "status", "audit"), "address");
    struct netaddr addr;
    if (address == NULL || node == NULL || !netaddr_parse(&addr, span_of_text(address), NULL)) {
        return;
    }
    const struct listener *listener = listeners_find_covering(scene->listeners, &addr);
    if (netaddr_is_any(&addr)) {
        report_add(scene->report, REPORT_ERROR, node->place,
                   "address: connections cannot go to the unspecified address");
    } else if (listener != NULL && strcmp(listener->what, "outbound.listeners") != 0) {
        report_add(scene->report, REPORT_ERROR, node->place,
                   "address: the agent itself listens there (%s), so this would be a loop",
                   listener->what);
    }
}

static bool is_same_probe(const struct status_probe *a, const struct status_probe *b) {
    return a->name == b->name && strcmp(a->container, b->container) == 0;
}

static void check_probe(const struct scene *scene, size_t index,
                        const struct yaml_tree_node *item) {
    const struct status_probe *probes = scene->config->status.probes;
    if (config_is_own_port(scene->config, probes[index].port)) {
        report_add(scene->report, REPORT_ERROR, place_in(item, "port"),
                   "port: the agent itself listens at %u", probes[index].port);
    }
    for (size_t i = 0; i < index; i++) {
        if (is_same_probe(&probes[i], &probes[index])) {
            report_add(scene->report, REPORT_ERROR, item->place,
                       "this probe of %s was already given in line %u", probes[i].container,
                       probes[i].line);
            return;
        }
    }
}

static void check_probes(const struct scene *scene) {
    const struct config_status *status = &scene->config->status;
    const struct yaml_tree_node *list = find(scene, "status", "probes");
    const struct yaml_tree_node *item = first_item(list);
    if (item != NULL && !status->has_health && find(scene, "status", "health") == NULL) {
        report_add(scene->report, REPORT_ERROR, list->key->place,
                   "probes: they are answered at status.health, which is not set");
    }
    for (size_t i = 0; item != NULL && i < status->num_probes; i++, item = item->next) {
        if (!list->is_bad && !item->is_bad) {
            check_probe(scene, i, item);
        }
    }
}

static void check_intercept(const struct scene *scene) {
    const struct config_intercept *intercept = &scene->config->intercept;
    const struct yaml_tree_node *item = first_item(find(scene, "intercept", "appUids"));
    for (size_t i = 0; item != NULL && i < intercept->num_app_uids; i++, item = item->next) {
        if (!item->is_bad && intercept->app_uids[i] == intercept->uid) {
            report_add(scene->report, REPORT_ERROR, item->place,
                       "appUids: %u is the agent's own uid, which is never captured",
                       intercept->uid);
        }
    }
}

void config_rules_check(const struct config *config, const struct yaml_tree_node *root,
                        struct report *report) {
    struct listeners listeners = {0};
    if (!listeners_collect(&listeners, config, root)) {
        report->out_of_memory = true;
        return;
    }
    struct scene scene = {
        .config = config, .root = root, .listeners = &listeners, .report = report};
    identity_rules_check(config, root, report);
    trust_rules_check(config, root, report);
    check_clashes(&scene);
    check_outbound_listeners(&scene);
    check_destinations(&scene);
    check_authorization(&scene);
    check_ports(&scene);
    check_status(&scene);
    check_probes(&scene);
    check_audit(&scene);
    check_intercept(&scene);
    listeners_fini(&listeners);
}
