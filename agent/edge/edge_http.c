#include "agent/edge/edge_http.h"

#include <stdlib.h>
#include <string.h>

static void free_rules(struct http_rule *rules, size_t num) {
    for (size_t i = 0; rules != NULL && i < num; i++) {
        free((void *)(uintptr_t)rules[i].paths);
    }
    free(rules);
}

static const char *const *texts_of(const struct string_list *list) {
    return (const char *const *)list->items;
}

static struct http_rule *make_rules(const struct edge_http_options *options) {
    struct http_rule *rules = calloc(options->num_rules + 1, sizeof(*rules));
    for (size_t i = 0; rules != NULL && i < options->num_rules; i++) {
        const struct http_rule_options *from = &options->rules[i];
        struct http_path_rule *paths = calloc(from->num_paths + 1, sizeof(*paths));
        if (paths == NULL) {
            free_rules(rules, i);
            return NULL;
        }
        for (size_t p = 0; p < from->num_paths; p++) {
            paths[p] = (struct http_path_rule){from->paths[p].path, from->paths[p].exact};
        }
        rules[i] = (struct http_rule){
            .hosts = texts_of(&from->hosts),
            .num_hosts = from->hosts.num,
            .path_prefix = from->path_prefix,
            .strip_prefix = from->strip_prefix,
            .methods = texts_of(&from->methods),
            .num_methods = from->methods.num,
            .paths = paths,
            .num_paths = from->num_paths,
        };
    }
    return rules;
}

// Every name that the port answers to, and whether its clients must show a certificate.
static struct http_server_name *make_names(const struct edge_server *server, size_t *num) {
    size_t all = 0;
    for (size_t i = 0; i < server->num_certificates; i++) {
        all += server->certificates[i].num_server_names;
    }
    struct http_server_name *names = calloc(all + 1, sizeof(*names));
    *num = 0;
    for (size_t i = 0; names != NULL && i < server->num_certificates; i++) {
        const struct edge_certificate *cert = &server->certificates[i];
        for (size_t n = 0; n < cert->num_server_names; n++) {
            names[(*num)++] = (struct http_server_name){
                .pattern = cert->server_names[n],
                .requires_client = cert->rules.auth == EDGE_AUTH_REQUIRED,
            };
        }
    }
    return names;
}

// The options' own certificate of that name.
static const struct edge_certificate_options *options_of(const struct edge_options *options,
                                                         const char *name) {
    for (size_t i = 0; i < options->num_certificates; i++) {
        if (strcmp(options->certificates[i].name, name) == 0) {
            return &options->certificates[i];
        }
    }
    return NULL;
}

static bool load_certificates(struct edge_http *out, const struct edge_options *options,
                              const struct edge_server *server, struct http_policy_setup *setup,
                              struct err *err) {
    out->certificates = calloc(server->num_certificates + 1, sizeof(*out->certificates));
    if (out->certificates == NULL) {
        return ERR_NO_MEMORY(err, "reading httpRules");
    }
    out->num_certificates = server->num_certificates;
    for (size_t i = 0; i < server->num_certificates; i++) {
        const struct edge_certificate_options *own =
            options_of(options, server->certificates[i].name);
        if (own == NULL || !own->has_skip_mtls) {
            continue;
        }
        setup->skip_mtls = texts_of(&own->skip_mtls);
        setup->num_skip_mtls = own->skip_mtls.num;
        out->certificates[i] = http_policy_new(setup, err);
        if (out->certificates[i] == NULL) {
            return false;
        }
    }
    return true;
}

bool edge_http_load(struct edge_http *out, const struct inbound_port *port,
                    const struct edge_server *server, struct err *err) {
    const struct edge_options *options = &port->edge;
    static const enum http_version APPLICATION[] = {
        [APP_PROTOCOL_AUTO] = HTTP_VERSION_ANY,
        [APP_PROTOCOL_HTTP1] = HTTP_VERSION_1,
        [APP_PROTOCOL_HTTP2] = HTTP_VERSION_2,
    };
    struct http_policy_setup setup = {
        .num_rules = options->http.num_rules,
        .skip_mtls = texts_of(&options->http.skip_mtls),
        .num_skip_mtls = options->http.skip_mtls.num,
        .check_host_matches_sni = options->http.check_host_matches_sni,
        .redirect_to_https = options->http.redirect_to_https,
        .port = port->has_listen ? port->listen.port : port->port,
    };
    struct http_rule *rules = make_rules(&options->http);
    struct http_server_name *names = make_names(server, &setup.num_names);
    bool ok = rules != NULL && names != NULL;
    if (!ok) {
        (void)ERR_NO_MEMORY(err, "reading httpRules");
    }
    out->application = APPLICATION[options->http.app_protocol];
    setup.rules = rules;
    setup.names = names;
    if (ok) {
        out->policy = http_policy_new(&setup, err);
        ok = out->policy != NULL && load_certificates(out, options, server, &setup, err);
    }
    free_rules(rules, options->http.num_rules);
    free(names);
    return ok;
}

void edge_http_fini(struct edge_http *http) {
    for (size_t i = 0; i < http->num_certificates; i++) {
        http_policy_free(http->certificates[i]);
    }
    free(http->certificates);
    http_policy_free(http->policy);
}

const struct http_policy *edge_http_policy(const struct edge_http *http,
                                           const struct edge_server *server,
                                           const struct edge_rules *rules) {
    for (size_t i = 0; i < http->num_certificates; i++) {
        if (rules == &server->certificates[i].rules && http->certificates[i] != NULL) {
            return http->certificates[i];
        }
    }
    return http->policy;
}
