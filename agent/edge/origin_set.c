#include "agent/edge/origin_set.h"

#include <stdlib.h>
#include <string.h>

#include "agent/edge/edge_files.h"
#include "agent/edge/edge_set.h"
#include "base/clock.h"
#include "certmgr/trust/trust_gather.h"

struct origin_set {
    const struct config *config;
    struct edge_app *apps; // one for each rule; without `ssl` where it has no TLS of its own
    size_t num;
    struct edge_certificate *certificates; // of outbound.certificates
    size_t num_certificates;
};

// One rule that is being loaded.
struct loading {
    const struct config *config;
    const struct origin_set *set;
    const struct outbound_rule *rule;
    const struct edge_app *before; // of the rule of this name as it was; NULL
    struct edge_place place;
};

static const struct edge_app *find_before(const struct edge_load *load, const char *name) {
    const struct origin_set *before = load->before == NULL ? NULL : load->before->origins;
    for (size_t i = 0; before != NULL && i < before->num; i++) {
        if (strcmp(before->config->outbound.rules[i].name, name) == 0) {
            return &before->apps[i];
        }
    }
    return NULL;
}

static const char *public_path(const struct config *config) {
    const char *said = config->trust_store.public_roots;
    struct trust_options options = {.public_roots = strcmp(said, "system") == 0 ? NULL
                                                    : strcmp(said, "none") == 0 ? ""
                                                                                : said};
    return trust_gather_public_path(&options);
}

static struct anchors *load_public_roots(struct loading *loading) {
    const char *path = public_path(loading->config);
    struct err err = {0};
    if (path == NULL || path[0] == '\0') {
        (void)ERR_SET(&err, ERR_INPUT,
                      "there are no public roots to verify the server by: install "
                      "ca-certificates, or name CAs in serverCerts");
        edge_load_refuse(&loading->place, "trustStore.publicRoots", &err);
        return NULL;
    }
    struct certificate_ref ref = {.file = (char *)path};
    struct certificate_refs refs = {.items = &ref, .num = 1};
    struct anchors *anchors = edge_files_anchors(&loading->config->trust_store, &refs, &err);
    if (anchors == NULL) {
        edge_load_refuse(&loading->place, "trustStore.publicRoots", &err);
    }
    return anchors;
}

static struct anchors *load_server_certs(struct loading *loading) {
    struct err err = {0};
    struct anchors *anchors =
        edge_files_anchors(&loading->config->trust_store, &loading->rule->server_certs, &err);
    if (anchors == NULL) {
        edge_load_refuse(&loading->place, "serverCerts", &err);
        return NULL;
    }
    const struct anchors *before = loading->before == NULL ? NULL : loading->before->anchors;
    if (!anchors_check_expiry(anchors, before, clock_wall_s(), &err)) {
        edge_load_expired(&loading->place, "serverCerts", &err);
    }
    return anchors;
}

// --- certificates to show

static const struct edge_certificate *find_certificate_before(const struct edge_load *load,
                                                              const char *name) {
    const struct origin_set *before = load->before == NULL ? NULL : load->before->origins;
    for (size_t i = 0; before != NULL && i < before->num_certificates; i++) {
        if (strcmp(before->certificates[i].name, name) == 0) {
            return &before->certificates[i];
        }
    }
    return NULL;
}

static void load_certificate(struct edge_place *place,
                             const struct edge_certificate_options *options,
                             struct edge_certificate *out) {
    const struct edge_certificate *before = find_certificate_before(place->load, options->name);
    struct err err = {0};
    if (!edge_files_certificate(options, out, &err)) {
        edge_load_refuse(place, "", &err);
    } else if (!edge_files_check_expiry(out, before, &err)) {
        edge_load_expired(place, "certFile", &err);
    }
}

static bool load_certificates(struct origin_set *set, const struct edge_load *load) {
    const struct config_outbound *outbound = &set->config->outbound;
    bool ok = true;
    for (size_t i = 0; i < outbound->num_certificates; i++) {
        const struct edge_certificate_options *options = &outbound->certificates[i];
        struct edge_place place = {
            .load = load, .line = options->line, .kind = "certificate", .name = options->name};
        load_certificate(&place, options, &set->certificates[set->num_certificates++]);
        ok = ok && !place.is_refused;
    }
    return ok;
}

const struct edge_certificate *origin_set_certificates(const struct origin_set *set, size_t *num) {
    *num = set->num_certificates;
    return set->certificates;
}

// --- rules

static void load_rule(struct loading *loading, struct edge_app *app) {
    const struct outbound_rule *rule = loading->rule;
    struct err err = {0};
    if (!edge_files_alpn(&app->alpn, &rule->alpn)) {
        (void)ERR_NO_MEMORY(&err, "preparing TLS");
        edge_load_refuse(&loading->place, "alpn", &err);
    }
    if (!config_rule_has_own_tls(rule)) {
        return;
    }
    size_t own = config_client_certificate(loading->config, rule->client_cert);
    if (rule->tls == OUTBOUND_MUTUAL && own < loading->set->num_certificates) {
        app->own = &loading->set->certificates[own];
    }
    app->subjects = rule->authorized_subjects;
    app->num_subjects = rule->num_authorized_subjects;
    app->server_name = rule->server_name;
    app->whom = "the server";
    app->needs_tls_1_3 = rule->min_version == TLS_VERSION_1_3;
    if (rule->verify) {
        app->anchors =
            rule->server_certs.num > 0 ? load_server_certs(loading) : load_public_roots(loading);
    }
    if (!edge_app_finish(app, rule->ciphers, &err)) {
        edge_load_refuse(&loading->place, "", &err);
    }
}

struct origin_set *origin_set_load(const struct config *config, const struct edge_load *load) {
    OWNED(origin_set_free) struct origin_set *set = calloc(1, sizeof(*set));
    size_t num = config->outbound.num_rules;
    if (set != NULL) {
        set->apps = calloc(num + 1, sizeof(*set->apps));
        set->certificates =
            calloc(config->outbound.num_certificates + 1, sizeof(*set->certificates));
    }
    if (set == NULL || set->apps == NULL || set->certificates == NULL) {
        (void)!buf_printf(load->errors, "%s: cannot allocate memory\n", load->name);
        return NULL;
    }
    set->config = config;
    bool ok = load_certificates(set, load);
    for (size_t i = 0; i < num; i++) {
        const struct outbound_rule *rule = &config->outbound.rules[i];
        struct loading loading = {
            .config = config,
            .set = set,
            .rule = rule,
            .before = find_before(load, rule->name),
            .place = {.load = load, .line = rule->line, .kind = "destination", .name = rule->name},
        };
        load_rule(&loading, &set->apps[set->num++]);
        ok = ok && !loading.place.is_refused;
    }
    return ok ? take(&set) : NULL;
}

void origin_set_free(struct origin_set *set) {
    if (set == NULL) {
        return;
    }
    for (size_t i = 0; i < set->num; i++) {
        edge_app_fini(&set->apps[i]);
    }
    for (size_t i = 0; i < set->num_certificates; i++) {
        edge_certificate_fini(&set->certificates[i]);
    }
    free(set->certificates);
    free(set->apps);
    free(set);
}

const struct edge_app *origin_set_find(const struct origin_set *set,
                                       const struct outbound_rule *rule) {
    size_t index = (size_t)(rule - set->config->outbound.rules);
    return index < set->num && set->apps[index].ssl != NULL ? &set->apps[index] : NULL;
}

struct span origin_set_alpn(const struct origin_set *set, const struct outbound_rule *rule) {
    size_t index = (size_t)(rule - set->config->outbound.rules);
    return index < set->num ? buf_span(&set->apps[index].alpn) : span_of(NULL, 0);
}
