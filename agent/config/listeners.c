#include "agent/config/listeners.h"

#include <stdlib.h>

#include "agent/config/config.h"

static void put(struct listeners *out, const struct netaddr *addr, const char *what,
                const struct yaml_tree_node *node) {
    if (addr->family == NETADDR_NONE) {
        return;
    }
    out->items[out->num++] = (struct listener){
        .addr = *addr,
        .what = what,
        .place = node == NULL ? (struct report_place){0} : node->place,
    };
}

static const struct yaml_tree_node *first_of(const struct yaml_tree_node *list) {
    return list == NULL ? NULL : list->first;
}

static const struct yaml_tree_node *next_of(const struct yaml_tree_node *item) {
    return item == NULL ? NULL : item->next;
}

static void put_list(struct listeners *out, const struct address_list *list, const char *what,
                     const struct yaml_tree_node *node) {
    const struct yaml_tree_node *item = first_of(node);
    for (size_t i = 0; i < list->num; i++, item = next_of(item)) {
        put(out, &list->items[i], what, item);
    }
}

static void put_explicit(struct listeners *out, const struct config_outbound *outbound,
                         const struct yaml_tree_node *node) {
    const struct yaml_tree_node *item = first_of(node);
    for (size_t i = 0; i < outbound->num_listeners; i++, item = next_of(item)) {
        put(out, &outbound->listeners[i].listen, "outbound.listeners",
            yaml_tree_find(item, "listen"));
    }
}

static void put_ports(struct listeners *out, const struct config_inbound *inbound,
                      const struct yaml_tree_node *node) {
    const struct yaml_tree_node *item = first_of(node);
    for (size_t i = 0; i < inbound->num_ports; i++, item = next_of(item)) {
        if (inbound->ports[i].has_listen) {
            put(out, &inbound->ports[i].listen, "inbound.ports", yaml_tree_find(item, "listen"));
        }
    }
}

bool listeners_collect(struct listeners *out, const struct config *config,
                       const struct yaml_tree_node *root) {
    const struct config_outbound *outbound = &config->outbound;
    const struct config_inbound *inbound = &config->inbound;
    size_t num_max = outbound->listen.num + outbound->num_listeners + inbound->listen.num +
                     inbound->tunnel.num + inbound->num_ports + 2;
    *out = (struct listeners){.items = calloc(num_max, sizeof *out->items)};
    if (out->items == NULL) {
        return false;
    }
    const struct yaml_tree_node *outbound_node = yaml_tree_find(root, "outbound");
    const struct yaml_tree_node *inbound_node = yaml_tree_find(root, "inbound");
    const struct yaml_tree_node *status_node = yaml_tree_find(root, "status");
    put_list(out, &outbound->listen, "outbound.listen", yaml_tree_find(outbound_node, "listen"));
    put_explicit(out, outbound, yaml_tree_find(outbound_node, "listeners"));
    put_list(out, &inbound->listen, "inbound.listen", yaml_tree_find(inbound_node, "listen"));
    put_list(out, &inbound->tunnel, "inbound.tunnel", yaml_tree_find(inbound_node, "tunnel"));
    put_ports(out, inbound, yaml_tree_find(inbound_node, "ports"));
    if (config->status.has_listen) {
        put(out, &config->status.listen, "status.listen", yaml_tree_find(status_node, "listen"));
    }
    if (config->status.has_health) {
        put(out, &config->status.health, "status.health", yaml_tree_find(status_node, "health"));
    }
    return true;
}

void listeners_fini(struct listeners *listeners) {
    free(listeners->items);
    *listeners = (struct listeners){0};
}

size_t listeners_find_clash(const struct listeners *listeners, size_t index) {
    const struct netaddr *addr = &listeners->items[index].addr;
    for (size_t i = 0; i < index; i++) {
        const struct netaddr *other = &listeners->items[i].addr;
        if (config_listener_covers(addr, other) || config_listener_covers(other, addr)) {
            return i;
        }
    }
    return listeners->num;
}

const struct listener *listeners_find_covering(const struct listeners *listeners,
                                               const struct netaddr *addr) {
    for (size_t i = 0; i < listeners->num; i++) {
        if (config_listener_covers(&listeners->items[i].addr, addr)) {
            return &listeners->items[i];
        }
    }
    return NULL;
}
