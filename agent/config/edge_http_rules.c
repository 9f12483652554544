#include "agent/config/edge_http_rules.h"

#include "agent/config/config.h"

static void refuse(struct report *report, const struct yaml_tree_node *item, const char *key,
                   const char *sentence) {
    const struct yaml_tree_node *node = yaml_tree_find(item, key);
    report_add(report, REPORT_ERROR, node == NULL ? item->place : node->key->place, "%s: %s", key,
               sentence);
}

// What the certificates say for their own names.
static bool says_http(const struct edge_options *edge) {
    for (size_t i = 0; i < edge->num_certificates; i++) {
        const struct edge_certificate_options *own = &edge->certificates[i];
        if (own->skip_mtls.num > 0 || own->on_failure == FAILURE_HTTP) {
            return true;
        }
    }
    return false;
}

static void check_tcp(const struct edge_options *edge, const struct yaml_tree_node *item,
                      struct report *report) {
    const struct {
        bool is_said;
        const char *key;
    } keys[] = {
        {edge->http.num_rules > 0, "httpRules"},
        {edge->http.skip_mtls.num > 0, "skipMtlsUriRegex"},
        {edge->http.redirect_to_https, "redirectToHttps"},
        {edge->http.app_protocol != APP_PROTOCOL_AUTO, "appProtocol"},
        {edge->answer_http, "onClientAuthFailure"},
        {edge->forward_client_cert == FORWARD_HEADERS, "forwardClientCert"},
        {says_http(edge), "certificates"},
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (keys[i].is_said) {
            refuse(report, item, keys[i].key, "needs protocol: http");
        }
    }
}

void edge_http_rules_check(const struct inbound_port *port, const struct yaml_tree_node *item,
                           struct report *report) {
    const struct edge_options *edge = &port->edge;
    if (!edge->is_http) {
        check_tcp(edge, item, report);
        return;
    }
    if (edge->app_tls == APP_TLS_PASSTHROUGH) {
        refuse(report, item, "protocol", "http cannot be read with appTls passthrough");
    }
    if (port->tls_mode == INBOUND_PEERS_ONLY) {
        refuse(report, item, "protocol", "http has no replication peers; say tlsMode: required");
    }
    if ((edge->answer_http || edge->http.skip_mtls.num > 0) && !config_port_terminates(port)) {
        refuse(report, item, edge->answer_http ? "onClientAuthFailure" : "skipMtlsUriRegex",
               "TLS does not end at this port; say tlsMode: required or permissive");
    }
    if (edge->http.redirect_to_https && !config_port_terminates(port)) {
        refuse(report, item, "redirectToHttps",
               "TLS does not end at this port; say tlsMode: required or permissive");
    }
}
