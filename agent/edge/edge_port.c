#include "agent/edge/edge_port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/edge/edge_files.h"
#include "agent/edge/edge_set.h"
#include "agent/tls/edge_fitness.h"
#include "base/clock.h"

// One port that is being loaded.
struct loading {
    const struct edge_port_source *from;
    struct edge_port *port;
    const struct edge_port *before;                     // the same port as it was; NULL
    const struct edge_certificate_options *certificate; // whose keys are read; NULL: the port's own
    struct edge_place place;
};

static void say_where(struct loading *loading) {
    const struct edge_certificate_options *certificate = loading->certificate;
    struct edge_place *place = &loading->place;
    place->line = certificate != NULL ? certificate->line : loading->port->options->line;
    place->kind = certificate != NULL ? "certificate" : NULL;
    place->name = certificate != NULL ? certificate->name : NULL;
}

// --- lists

static struct anchors *load_list(struct loading *loading, const char *key,
                                 const struct certificate_refs *refs,
                                 const struct anchors *before) {
    struct err err = {0};
    if (refs->num == 0) {
        return NULL;
    }
    struct anchors *anchors = edge_files_anchors(&loading->from->config->trust_store, refs, &err);
    if (anchors == NULL) {
        edge_load_refuse(&loading->place, key, &err);
    } else if (!anchors_check_expiry(anchors, before, clock_wall_s(), &err)) {
        edge_load_expired(&loading->place, key, &err);
    }
    return anchors;
}

// --- rules

static enum edge_auth auth_of(enum client_auth said, enum edge_auth otherwise) {
    switch (said) {
    case CLIENT_AUTH_UNSAID:
        break;
    case CLIENT_AUTH_NONE:
        return EDGE_AUTH_NONE;
    case CLIENT_AUTH_OPTIONAL:
        return EDGE_AUTH_OPTIONAL;
    case CLIENT_AUTH_REQUIRED:
        return EDGE_AUTH_REQUIRED;
    }
    return otherwise;
}

static uint16_t wire_version(enum tls_version said, uint16_t otherwise) {
    return said == TLS_VERSION_UNSAID ? otherwise : (uint16_t)(0x0300 | said);
}

static void fill_rules(struct loading *loading) {
    const struct edge_options *options = &loading->port->options->edge;
    struct edge_server *server = &loading->port->server;
    bool peers_only = loading->port->options->tls_mode == INBOUND_PEERS_ONLY;
    bool subjects = options->subject_validation != SUBJECT_DISABLED;
    server->rules = (struct edge_rules){
        .auth = auth_of(options->client_auth, EDGE_AUTH_REQUIRED),
        .by_spiffe = server->clients == NULL && server->peers == NULL,
        .clients = peers_only ? NULL : server->clients,
        .peers = server->peers,
        .depth = options->client_depth,
        .allow_outdated = options->allow_outdated,
        .allow_weak = options->allow_weak,
        .full_subject = options->subject_validation == SUBJECT_FULL,
        .subjects = options->authorized_subjects,
        .num_subjects = subjects ? options->num_authorized_subjects : 0,
        .answers_http =
            options->is_http && (options->answer_http || options->http.skip_mtls.num > 0),
        .min_version = wire_version(options->min_version, EDGE_TLS_1_2),
        .max_version = wire_version(options->max_version, EDGE_TLS_1_3),
    };
    if (subjects && server->clients != NULL && anchors_has_leaf(server->clients)) {
        edge_load_warn(&loading->place, "subjectValidation",
                       "has no effect while clientCerts holds a certificate that is no CA");
    }
}

// --- certificates

static const struct edge_certificate *find_before(const struct loading *loading, const char *name) {
    const struct edge_server *server = loading->before == NULL ? NULL : &loading->before->server;
    for (size_t i = 0; server != NULL && i < server->num_certificates; i++) {
        if (strcmp(server->certificates[i].name, name) == 0) {
            return &server->certificates[i];
        }
    }
    return NULL;
}

static void load_staple(struct loading *loading, struct edge_certificate *out) {
    const struct stapling_options *options = &loading->certificate->stapling;
    const char *withheld = NULL;
    struct err err = {0};
    if (!options->enabled) {
        return;
    }
    if (options->file == NULL) {
        uint16_t port = loading->port->options->port;
        if (!edge_asked_add(loading->from->asked, port, options, out, &err)) {
            edge_load_refuse(&loading->place, "stapling", &err);
        }
    } else if (!edge_files_staple(options, out, &withheld, &err)) {
        edge_load_refuse(&loading->place, "stapling", &err);
    } else if (withheld != NULL) {
        edge_load_warn(&loading->place, "stapling", withheld);
    }
}

// A pattern that exempts URIs can only be judged when the request is there.
static bool answers_http(const struct loading *loading,
                         const struct edge_certificate_options *own) {
    const struct edge_options *port = &loading->port->options->edge;
    bool skips = own->has_skip_mtls ? own->skip_mtls.num > 0 : port->http.skip_mtls.num > 0;
    bool says =
        own->on_failure == FAILURE_UNSAID ? port->answer_http : own->on_failure == FAILURE_HTTP;
    return port->is_http && (skips || says);
}

// What is likely not meant, and is served all the same (docs/edge-tls.md, RE26).
static void judge_fitness(struct loading *loading, const struct edge_certificate *cert) {
    struct edge_fitness fitness;
    edge_fitness_judge(cert, &fitness);
    for (size_t i = 0; i < fitness.num; i++) {
        edge_load_warn(&loading->place, "certFile", fitness.said[i]);
    }
    if (edge_files_is_open(loading->certificate->key_file)) {
        edge_load_warn(&loading->place, "keyFile", "everybody on this host can read it");
    }
}

static void load_certificate(struct loading *loading, struct edge_certificate *out) {
    const struct edge_certificate_options *options = loading->certificate;
    const struct edge_certificate *before = find_before(loading, options->name);
    struct err err = {0};
    if (!edge_files_certificate(options, out, &err)) {
        edge_load_refuse(&loading->place, "", &err);
        return;
    }
    if (!edge_files_check_expiry(out, before, &err)) {
        edge_load_expired(&loading->place, "certFile", &err);
    }
    judge_fitness(loading, out);
    load_staple(loading, out);
    out->own_clients = load_list(loading, "clientCerts", &options->client_certs,
                                 before == NULL ? NULL : before->own_clients);
    out->rules = loading->port->server.rules;
    out->rules.auth = auth_of(options->client_auth, out->rules.auth);
    out->rules.min_version = wire_version(options->min_version, out->rules.min_version);
    out->rules.max_version = wire_version(options->max_version, out->rules.max_version);
    out->rules.answers_http = answers_http(loading, options);
    out->rules.depth = options->has_client_depth ? options->client_depth : out->rules.depth;
    if (out->own_clients != NULL) {
        out->rules.clients = out->own_clients;
        out->rules.by_spiffe = false;
    }
}

static void load_certificates(struct loading *loading) {
    const struct edge_options *options = &loading->port->options->edge;
    struct edge_server *server = &loading->port->server;
    struct err err = {0};
    server->certificates = calloc(options->num_certificates + 1, sizeof(*server->certificates));
    if (server->certificates == NULL) {
        (void)ERR_NO_MEMORY(&err, "reading certificates");
        edge_load_refuse(&loading->place, "certificates", &err);
        return;
    }
    for (size_t i = 0; i < options->num_certificates; i++) {
        if (options->certificates[i].enabled) {
            loading->certificate = &options->certificates[i];
            say_where(loading);
            load_certificate(loading, &server->certificates[server->num_certificates++]);
        }
    }
    loading->certificate = NULL;
    say_where(loading);
    if (options->num_certificates > 0 && server->num_certificates == 0) {
        (void)ERR_SET(&err, ERR_INPUT, "none of them is enabled");
        edge_load_refuse(&loading->place, "certificates", &err);
    }
}

// --- the rest of a port

static void load_protocol(struct loading *loading) {
    const struct edge_options *options = &loading->port->options->edge;
    struct edge_server *server = &loading->port->server;
    struct err err = {0};
    server->fallback_name = options->fallback_server_name;
    server->resumes = options->resumption;
    for (size_t i = 0; i < options->tls13_cipher_suites.num; i++) {
        const char *name = options->tls13_cipher_suites.items[i];
        uint16_t suite = edge_server_suite(name);
        if (suite == 0) {
            (void)ERR_SET(&err, ERR_INPUT, "\"%s\" is no suite of TLS 1.3 that is spoken here",
                          name);
            edge_load_refuse(&loading->place, "tls13CipherSuites", &err);
        }
        server->suites[server->num_suites++] = suite;
    }
    char h2[] = "h2", http1[] = "http/1.1";
    const struct string_list http = {.items = (char *[]){h2, http1}, .num = 2};
    bool unsaid = options->is_http && options->alpn.num == 0;
    if (!edge_files_alpn(&server->alpn, unsaid ? &http : &options->alpn)) {
        (void)ERR_NO_MEMORY(&err, "preparing TLS");
        edge_load_refuse(&loading->place, "alpn", &err);
    } else if (!edge_server_finish(server, options->ciphers, &err)) {
        edge_load_refuse(&loading->place, "", &err);
    }
}

static void load_app(struct loading *loading) {
    const struct edge_options *options = &loading->port->options->edge;
    struct edge_app *app = &loading->port->app;
    struct err err = {0};
    if (options->app_tls != APP_TLS_REENCRYPT) {
        return;
    }
    app->server_name = options->app_tls_server_name;
    if (options->app_tls_verify) {
        app->anchors = load_list(loading, "appTls.caCerts", &options->app_tls_ca_certs,
                                 loading->before == NULL ? NULL : loading->before->app.anchors);
    }
    app->whom = "the application";
    if (!edge_app_finish(app, NULL, &err)) {
        edge_load_refuse(&loading->place, "appTls", &err);
    }
}

static void load_tls(struct loading *loading) {
    const struct edge_options *options = &loading->port->options->edge;
    struct edge_server *server = &loading->port->server;
    const struct edge_server *before = loading->before == NULL ? NULL : &loading->before->server;
    server->clients = load_list(loading, "clientCerts", &options->client_certs,
                                before == NULL ? NULL : before->clients);
    server->peers = load_list(loading, "peerCerts", &options->peer_certs,
                              before == NULL ? NULL : before->peers);
    fill_rules(loading);
    load_certificates(loading);
    load_protocol(loading);
    load_app(loading);
}

static void load_http(struct loading *loading) {
    struct edge_port *port = loading->port;
    struct err err = {0};
    if (port->options->edge.is_http &&
        !edge_http_load(&port->http, port->options, &port->server, &err)) {
        edge_load_refuse(&loading->place, "", &err);
    }
}

bool edge_port_load(struct edge_port *port, const struct inbound_port *options,
                    const struct edge_port_source *from) {
    struct loading loading = {
        .from = from,
        .port = port,
        .before = edge_set_find(from->load->before, options->port),
        .place = {.load = from->load},
    };
    port->options = options;
    (void)snprintf(loading.place.port, sizeof(loading.place.port), "port %u", options->port);
    say_where(&loading);
    if (config_port_terminates(options)) {
        load_tls(&loading);
    }
    load_http(&loading);
    return !loading.place.is_refused;
}

void edge_port_fini(struct edge_port *port) {
    edge_server_fini(&port->server);
    edge_app_fini(&port->app);
    edge_http_fini(&port->http);
}
