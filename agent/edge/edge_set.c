#include "agent/edge/edge_set.h"

#include <stdlib.h>

static struct edge_set *set_new(struct config *config, size_t cap) {
    struct edge_set *set = calloc(1, sizeof(*set));
    if (set == NULL) {
        return NULL;
    }
    atomic_init(&set->num_refs, 1);
    set->config = config_ref(config);
    set->ports = calloc(cap + 1, sizeof(*set->ports));
    if (set->ports == NULL) {
        edge_set_unref(set);
        return NULL;
    }
    return set;
}

struct edge_set *edge_set_load(struct config *config, const struct edge_load *load) {
    size_t cap = config->inbound.num_ports;
    OWNED(edge_set_unref) struct edge_set *set = set_new(config, cap);
    if (set == NULL) {
        (void)!buf_printf(load->errors, "%s: cannot allocate memory\n", load->name);
        return NULL;
    }
    const struct edge_port_source from = {.config = config, .load = load, .asked = &set->asked};
    bool ok = true;
    for (size_t i = 0; i < cap; i++) {
        const struct inbound_port *port = &config->inbound.ports[i];
        if (config_port_terminates(port) || port->edge.is_http) {
            ok = edge_port_load(&set->ports[set->num_ports++], port, &from) && ok;
        }
    }
    set->origins = origin_set_load(set->config, load);
    return ok && set->origins != NULL ? take(&set) : NULL;
}

struct edge_set *edge_set_ref(struct edge_set *set) {
    atomic_fetch_add_explicit(&set->num_refs, 1, memory_order_relaxed);
    return set;
}

void edge_set_unref(struct edge_set *set) {
    if (set == NULL || atomic_fetch_sub_explicit(&set->num_refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    for (size_t i = 0; i < set->num_ports; i++) {
        edge_port_fini(&set->ports[i]);
    }
    free(set->ports);
    edge_asked_fini(&set->asked);
    origin_set_free(set->origins);
    config_unref(set->config);
    free(set);
}

const struct edge_port *edge_set_find(const struct edge_set *set, uint16_t port) {
    for (size_t i = 0; set != NULL && i < set->num_ports; i++) {
        if (set->ports[i].options->port == port) {
            return &set->ports[i];
        }
    }
    return NULL;
}

const struct edge_app *edge_set_origin(const struct edge_set *set,
                                       const struct outbound_rule *rule) {
    return set == NULL ? NULL : origin_set_find(set->origins, rule);
}

struct span edge_set_alpn(const struct edge_set *set, const struct outbound_rule *rule) {
    return set == NULL ? span_of(NULL, 0) : origin_set_alpn(set->origins, rule);
}
