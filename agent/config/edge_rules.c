#include "agent/config/edge_rules.h"

#include "agent/config/config.h"
#include "agent/config/edge_http_rules.h"

struct scene {
    const struct inbound_port *port;
    const struct yaml_tree_node *item;
    struct report *report;
};

static struct report_place place_of(const struct scene *scene, const char *key) {
    const struct yaml_tree_node *node = yaml_tree_find(scene->item, key);
    return node == NULL ? scene->item->place : node->key->place;
}

static void refuse(const struct scene *scene, const char *key, const char *sentence) {
    report_add(scene->report, REPORT_ERROR, place_of(scene, key), "%s: %s", key, sentence);
}

void edge_rules_check_refs(const struct certificate_refs *refs, const struct yaml_tree_node *list,
                           struct report *report) {
    const struct yaml_tree_node *item = list == NULL ? NULL : list->first;
    for (size_t i = 0; item != NULL && i < refs->num; i++, item = item->next) {
        if (!item->is_bad && (refs->items[i].name == NULL) == (refs->items[i].file == NULL)) {
            report_add(report, REPORT_ERROR, item->place,
                       "%s: an item is a name of trustStore.certificates or {file: PATH}",
                       list->key->text);
        }
    }
}

// The first key with a value that only means something where TLS ends at the port; NULL: none has.
// A mistake elsewhere must not lose it silently.
static const char *find_terminating(const struct edge_options *edge) {
    const struct {
        bool is_said;
        const char *key;
    } keys[] = {
        {edge->num_certificates > 0, "certificates"},
        {edge->has_client_certs, "clientCerts"},
        {edge->has_peer_certs, "peerCerts"},
        {edge->client_auth > CLIENT_AUTH_NONE, "clientAuth"},
        {edge->subject_validation != SUBJECT_DISABLED, "subjectValidation"},
        {edge->ciphers != NULL, "ciphers"},
        {edge->tls13_cipher_suites.num > 0, "tls13CipherSuites"},
        {edge->alpn.num > 0, "alpn"},
        {edge->fallback_server_name != NULL, "fallbackServerName"},
        {edge->forward_client_cert == FORWARD_PROXY_V2, "forwardClientCert"},
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (keys[i].is_said) {
            return keys[i].key;
        }
    }
    return NULL;
}

static void check_terminates(const struct scene *scene) {
    const char *key = find_terminating(&scene->port->edge);
    if (key == NULL || config_port_terminates(scene->port)) {
        return;
    }
    refuse(scene, key,
           scene->port->edge.app_tls == APP_TLS_PASSTHROUGH
               ? "with appTls passthrough the application answers TLS itself"
               : "TLS does not end at this port; say tlsMode: required, permissive or peersOnly");
}

static enum client_auth auth_of(enum client_auth said, enum client_auth otherwise) {
    return said == CLIENT_AUTH_UNSAID ? otherwise : said;
}

static void check_lists(const struct scene *scene) {
    const struct edge_options *edge = &scene->port->edge;
    bool peers_only = scene->port->tls_mode == INBOUND_PEERS_ONLY;
    enum client_auth auth = auth_of(edge->client_auth, CLIENT_AUTH_REQUIRED);
    bool nobody = edge->client_certs.num == 0 && edge->peer_certs.num == 0;
    bool said_empty = (edge->has_client_certs && edge->client_certs.num == 0) ||
                      (edge->has_peer_certs && edge->peer_certs.num == 0);
    if (peers_only && edge->peer_certs.num == 0 &&
        (edge->num_certificates > 0 || edge->has_client_certs)) {
        refuse(scene, "tlsMode", "peersOnly needs peerCerts: who the replication peers are");
    } else if (peers_only && auth != CLIENT_AUTH_REQUIRED) {
        refuse(scene, "clientAuth", "peersOnly demands a certificate of every peer");
    } else if (auth == CLIENT_AUTH_NONE && !nobody) {
        refuse(scene, "clientAuth", "none asks for no certificate, so no list can be for it");
    } else if (auth != CLIENT_AUTH_NONE && nobody && (edge->num_certificates > 0 || said_empty)) {
        bool overridden = edge->num_certificates > 0 && !said_empty;
        for (size_t i = 0; i < edge->num_certificates; i++) {
            const struct edge_certificate_options *own = &edge->certificates[i];
            overridden =
                overridden && (own->client_certs.num > 0 || own->client_auth == CLIENT_AUTH_NONE);
        }
        if (!overridden) {
            refuse(scene, edge->has_client_certs ? "clientCerts" : "clientAuth",
                   "certificates of clients are asked for, but clientCerts and peerCerts are "
                   "empty; list what is trusted, or say clientAuth: none");
        }
    }
}

static void check_subjects(const struct scene *scene) {
    const struct edge_options *edge = &scene->port->edge;
    if (edge->subject_validation == SUBJECT_DISABLED) {
        if (edge->num_authorized_subjects > 0) {
            refuse(scene, "authorizedSubjects", "subjectValidation is disabled");
        }
    } else if (edge->num_authorized_subjects == 0) {
        refuse(scene, "subjectValidation", "needs authorizedSubjects, and there are none");
    }
}

static void check_versions(const struct scene *scene) {
    const struct edge_options *edge = &scene->port->edge;
    if (edge->min_version > edge->max_version) {
        refuse(scene, "minVersion", "is above maxVersion");
    }
    const struct yaml_tree_node *list = yaml_tree_find(scene->item, "certificates");
    const struct yaml_tree_node *item = list == NULL ? NULL : list->first;
    for (size_t i = 0; item != NULL && i < edge->num_certificates; i++, item = item->next) {
        const struct edge_certificate_options *own = &edge->certificates[i];
        enum tls_version min = own->min_version != 0 ? own->min_version : edge->min_version;
        enum tls_version max = own->max_version != 0 ? own->max_version : edge->max_version;
        if (min > max) {
            report_add(scene->report, REPORT_ERROR, item->place,
                       "minVersion is above maxVersion for this certificate");
        }
        if (own->has_client_certs && own->client_certs.num == 0) {
            report_add(scene->report, REPORT_ERROR, item->place,
                       "clientCerts: is empty; leave it out, or say clientAuth: none");
        }
        edge_rules_check_refs(&own->client_certs, yaml_tree_find(item, "clientCerts"),
                              scene->report);
    }
}

// What is read from a file is asked of nobody.
static void check_stapling_file(const struct scene *scene, const struct yaml_tree_node *item) {
    static const char *const KEYS[] = {"responder", "queryInterval", "responseTimeout",
                                       "recoveryInterval", "recoveryMaxTries"};
    const struct yaml_tree_node *stapling = yaml_tree_find(item, "stapling");
    for (size_t i = 0; i < sizeof(KEYS) / sizeof(KEYS[0]); i++) {
        const struct yaml_tree_node *node = yaml_tree_find(stapling, KEYS[i]);
        if (node != NULL && node->len > 0) { // an empty one is none
            report_add(scene->report, REPORT_ERROR, node->place,
                       "%s: is for a response that a responder is asked for, and this one comes "
                       "from file; remove one of them",
                       KEYS[i]);
        }
    }
}

static void check_stapling(const struct scene *scene) {
    const struct edge_options *edge = &scene->port->edge;
    const struct yaml_tree_node *list = yaml_tree_find(scene->item, "certificates");
    const struct yaml_tree_node *item = list == NULL ? NULL : list->first;
    for (size_t i = 0; item != NULL && i < edge->num_certificates; i++, item = item->next) {
        if (edge->certificates[i].stapling.file != NULL) {
            check_stapling_file(scene, item);
        }
    }
}

static void check_app_tls(const struct scene *scene) {
    const struct edge_options *edge = &scene->port->edge;
    bool reencrypt = edge->app_tls == APP_TLS_REENCRYPT;
    bool terminates = config_port_terminates(scene->port);
    if (edge->app_tls == APP_TLS_PASSTHROUGH && scene->port->tls_mode < INBOUND_PERMISSIVE) {
        refuse(scene, "appTls",
               "passthrough needs tlsMode: required or permissive; tlsMode: "
               "disabled passes everything");
    } else if (edge->app_tls == APP_TLS_PASSTHROUGH &&
               scene->port->tls_mode == INBOUND_PEERS_ONLY) {
        refuse(scene, "appTls", "passthrough hides who the client is, and peersOnly asks for it");
    } else if (reencrypt && !terminates) {
        refuse(scene, "appTls", "TLS does not end at this port; say tlsMode: required");
    } else if (edge->app_tls_verify && (!reencrypt || edge->app_tls_ca_certs.num == 0)) {
        refuse(scene, "appTls", "verify needs mode: reencrypt and caCerts");
    } else if (!reencrypt && edge->app_tls_ca_certs.num > 0) {
        refuse(scene, "appTls", "caCerts needs mode: reencrypt");
    }
}

static void check_proxy(const struct scene *scene) {
    const struct edge_options *edge = &scene->port->edge;
    if (edge->accept_proxy && edge->proxy_from.num == 0) {
        refuse(scene, "acceptProxy", "needs proxyFrom: who may say where a client comes from");
    } else if (!edge->accept_proxy && edge->proxy_from.num > 0) {
        refuse(scene, "proxyFrom", "acceptProxy is off");
    }
}

void edge_rules_check(const struct inbound_port *port, const struct yaml_tree_node *item,
                      struct report *report) {
    struct scene scene = {.port = port, .item = item, .report = report};
    edge_rules_check_refs(&port->edge.client_certs, yaml_tree_find(item, "clientCerts"), report);
    edge_rules_check_refs(&port->edge.peer_certs, yaml_tree_find(item, "peerCerts"), report);
    edge_rules_check_refs(&port->edge.app_tls_ca_certs,
                          yaml_tree_find(yaml_tree_find(item, "appTls"), "caCerts"), report);
    check_terminates(&scene);
    if (config_port_terminates(port)) {
        check_lists(&scene);
    }
    check_subjects(&scene);
    check_versions(&scene);
    check_stapling(&scene);
    check_app_tls(&scene);
    check_proxy(&scene);
    edge_http_rules_check(port, item, report);
}
