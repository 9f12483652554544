#include "agent/status/render_ports.h"

#include "agent/status/json_internal.h"

static const char *const auths[] = {
    [CLIENT_AUTH_UNSAID] = "required",
    [CLIENT_AUTH_NONE] = "none",
    [CLIENT_AUTH_OPTIONAL] = "optional",
    [CLIENT_AUTH_REQUIRED] = "required",
};
static const char *const app_modes[] = {
    [APP_TLS_OFF] = "off",
    [APP_TLS_REENCRYPT] = "reencrypt",
    [APP_TLS_PASSTHROUGH] = "passthrough",
};

static void put_certificates(struct object *o, const struct edge_options *options) {
    json_t *list = json_array();
    for (size_t i = 0; i < options->num_certificates; i++) {
        if (options->certificates[i].enabled) {
            put_row(o, list, text(options->certificates[i].name));
        }
    }
    put(o, "certificates", list);
}

static json_t *port(const struct config *config, const struct inbound_port *p) {
    const struct edge_options *edge = &p->edge;
    const char *otherwise = config->inbound.strict ? "strict" : "permissive";
    bool terminates = config_port_terminates(p);
    struct object o = object_begin();
    put(&o, "port", number(p->port));
    put(&o, "mode",
        json_string(p->tls_mode == INBOUND_FOLLOW_MODE ? otherwise
                                                       : inbound_tls_mode_name(p->tls_mode)));
    put(&o, "terminatesTls", json_boolean(terminates));
    put(&o, "clientAuth", terminates ? json_string(auths[edge->client_auth]) : json_null());
    put_certificates(&o, edge);
    put(&o, "resumption", json_boolean(terminates && edge->resumption));
    put(&o, "protocol", json_string(edge->is_http ? "http" : "tcp"));
    put(&o, "appTls", json_string(app_modes[edge->app_tls]));
    put(&o, "enableEndToEndTls", json_boolean(edge->app_tls != APP_TLS_OFF));
    return object_end(&o);
}

bool render_ports_json(struct buf *out, const struct config *config) {
    struct object o = object_begin();
    json_t *list = json_array();
    for (size_t i = 0; i < config->inbound.num_ports; i++) {
        put_row(&o, list, port(config, &config->inbound.ports[i]));
    }
    put(&o, "ports", list);
    put(&o, "inboundMode", json_string(config->inbound.strict ? "strict" : "permissive"));
    return dump(out, object_end(&o));
}
