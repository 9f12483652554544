#include "agent/edge/edge_inventory.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

// One place of the configuration. `first`: where its rows begin.
struct place {
    struct view *out;
    char name[384];
    size_t first;
};

static struct place place_of(struct view *out) {
    return (struct place){.out = out, .first = out->num_certificates};
}

static bool add(const struct place *place, const char *path, int64_t not_after) {
    struct view *out = place->out;
    for (size_t i = place->first; i < out->num_certificates; i++) {
        struct certificate_view *row = &out->certificates[i];
        if (strncmp(row->path, path, sizeof(row->path) - 1) == 0) {
            row->not_after = not_after < row->not_after ? not_after : row->not_after;
            return true;
        }
    }
    struct certificate_view *row = view_add_certificate(out);
    if (row == NULL) {
        return false;
    }
    text_copy(row->logical_name, sizeof(row->logical_name), place->name);
    text_copy(row->path, sizeof(row->path), path);
    row->not_after = not_after;
    return true;
}

static bool add_list(const struct place *place, const struct anchors *anchors) {
    bool ok = true;
    for (size_t i = 0; i < anchors_num(anchors); i++) {
        struct anchor_view view = anchors_view(anchors, i);
        ok = ok && add(place, view.name, view.not_after);
    }
    return ok;
}

static bool add_port_list(struct view *out, uint16_t port, const char *key,
                          const struct anchors *anchors) {
    struct place place = place_of(out);
    (void)snprintf(place.name, sizeof(place.name), "inbound/%u/%s", port, key);
    return add_list(&place, anchors);
}

// What was withheld for what it says is not kept.
static void add_staple(struct certificate_view *row, const struct edge_certificate *cert) {
    row->staple.status = cert->staple_status;
    row->staple.is_wanted = cert->staple.len > 0;
    row->staple.from = cert->staple_from;
    row->staple.until = cert->staple_until;
    text_copy(row->staple.source, sizeof(row->staple.source), cert->staple_path);
}

static bool add_certificate(struct view *out, uint16_t port, const struct edge_certificate *cert) {
    struct place place = place_of(out);
    (void)snprintf(place.name, sizeof(place.name), "inbound/%u/%s", port, cert->name);
    bool ok = add(&place, cert->path, cert->not_after);
    if (ok && cert->staple_status != NULL) {
        add_staple(&out->certificates[place.first], cert);
    }
    struct place list = place_of(out);
    (void)snprintf(list.name, sizeof(list.name), "inbound/%u/%s/clientCerts", port, cert->name);
    return ok && add_list(&list, cert->own_clients);
}

static bool add_port(struct view *out, const struct edge_port *port) {
    uint16_t number = port->options->port;
    bool ok = true;
    for (size_t i = 0; i < port->server.num_certificates; i++) {
        ok = ok && add_certificate(out, number, &port->server.certificates[i]);
    }
    return ok && add_port_list(out, number, "clientCerts", port->server.clients) &&
           add_port_list(out, number, "peerCerts", port->server.peers) &&
           add_port_list(out, number, "appTls.caCerts", port->app.anchors);
}

static bool add_destination(struct view *out, const struct edge_set *set,
                            const struct outbound_rule *rule) {
    const struct edge_app *app = edge_set_origin(set, rule);
    struct place place = place_of(out);
    if (app == NULL || rule->server_certs.num == 0) {
        return true;
    }
    (void)snprintf(place.name, sizeof(place.name), "outbound/%s/serverCerts", rule->name);
    return add_list(&place, app->anchors);
}

static bool add_shown(struct view *out, const struct edge_set *set) {
    size_t num = 0;
    const struct edge_certificate *shown = origin_set_certificates(set->origins, &num);
    bool ok = true;
    for (size_t i = 0; ok && i < num; i++) {
        struct place place = place_of(out);
        (void)snprintf(place.name, sizeof(place.name), "outbound/certificates/%s", shown[i].name);
        ok = add(&place, shown[i].path, shown[i].not_after);
    }
    return ok;
}

bool edge_inventory_render(const struct edge_set *set, struct view *out) {
    bool ok = true;
    for (size_t i = 0; set != NULL && i < set->num_ports; i++) {
        ok = ok && add_port(out, &set->ports[i]);
    }
    for (size_t i = 0; set != NULL && i < set->config->outbound.num_rules; i++) {
        ok = ok && add_destination(out, set, &set->config->outbound.rules[i]);
    }
    return ok && (set == NULL || add_shown(out, set));
}
