#include "agent/config/outbound_rules.h"

#include <string.h>

#include "agent/config/config.h"
#include "agent/config/edge_rules.h"

struct scene {
    const struct config *config;
    const struct outbound_rule *rule;
    const struct yaml_tree_node *item;
    struct report *report;
};

static struct report_place place_of(const struct scene *scene, const char *key, bool of_key) {
    const struct yaml_tree_node *node = yaml_tree_find(scene->item, key);
    return node == NULL ? scene->item->place : of_key ? node->key->place : node->place;
}

static void refuse(const struct scene *scene, const char *key, const char *sentence) {
    report_add(scene->report, REPORT_ERROR, place_of(scene, key, true), "%s: %s", key, sentence);
}

// Keys that mean nothing where the rule makes no TLS to a server: a mistake elsewhere must not lose
// them silently.
static void check_servers_keys(const struct scene *scene) {
    const struct outbound_rule *rule = scene->rule;
    const struct {
        bool is_said;
        const char *key;
    } keys[] = {
        {rule->server_name != NULL, "serverName"},
        {!rule->verify, "verify"},
        {rule->ciphers != NULL, "ciphers"},
        {rule->has_server_certs, "serverCerts"},
        {rule->has_subjects, "authorizedSubjects"},
        {rule->alpn.num > 0, "alpn"},
        {rule->min_version == TLS_VERSION_1_3 && rule->tls != OUTBOUND_MESH, "minVersion"},
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (keys[i].is_said) {
            report_add(scene->report, REPORT_ERROR, place_of(scene, keys[i].key, true),
                       "%s: only tls: mutual and tls: simple use it, and this rule says tls: %s",
                       keys[i].key, outbound_tls_name(rule->tls));
        }
    }
}

static void check_own_tls(const struct scene *scene) {
    const struct outbound_rule *rule = scene->rule;
    if (rule->has_server_certs && rule->server_certs.num == 0) {
        refuse(scene, "serverCerts", "an empty list would let no server be verified");
    }
    if (!rule->verify && rule->has_server_certs) {
        refuse(scene, "verify", "false would make serverCerts meaningless");
    }
    if (rule->ciphers != NULL && !config_rule_has_own_tls(rule)) {
        refuse(scene, "ciphers", "tls: mutual has them only with serverCerts");
    }
    if (rule->peers.num > 0 && config_rule_has_own_tls(rule)) {
        refuse(scene, "peers",
               "SPIFFE IDs are verified by the SPIFFE bundle alone, so only by "
               "tls: mutual without serverCerts");
    }
    if (!rule->verify) {
        report_add(scene->report, REPORT_WARNING, place_of(scene, "verify", true),
                   "verify: whoever answers at the address is taken for the server");
    }
}

static void check_client_cert(const struct scene *scene) {
    const struct outbound_rule *rule = scene->rule;
    const char *name = rule->client_cert;
    if (yaml_tree_find(scene->item, "clientCert") == NULL || name == NULL) {
        return;
    }
    bool is_workload = strcmp(name, "workload") == 0;
    if (rule->tls != OUTBOUND_MUTUAL && !is_workload) { // the default, said, is no mistake
        refuse(scene, "clientCert", "only tls: mutual shows a certificate");
    } else if (!is_workload && !config_rule_has_own_tls(rule)) {
        refuse(scene, "clientCert",
               "needs serverCerts: the SPIFFE bundle judges only servers that are shown the "
               "workload certificate");
    } else if (!is_workload && config_client_certificate(scene->config, name) ==
                                   scene->config->outbound.num_certificates) {
        refuse(scene, "clientCert", "there is no outbound.certificates entry of this name");
    }
}

static void check_subjects(const struct scene *scene) {
    const struct outbound_rule *rule = scene->rule;
    if (!rule->has_subjects) {
        return;
    }
    if (rule->num_authorized_subjects == 0) {
        refuse(scene, "authorizedSubjects", "an empty list would let no server be verified");
    } else if (!rule->verify) {
        refuse(scene, "verify", "false would make authorizedSubjects meaningless");
    } else if (!config_rule_has_own_tls(rule)) {
        refuse(scene, "authorizedSubjects", "tls: mutual has them only with serverCerts");
    }
}

void outbound_rules_check_certificates(const struct config *config,
                                       const struct yaml_tree_node *list, struct report *report) {
    const struct config_outbound *outbound = &config->outbound;
    const struct yaml_tree_node *item = list == NULL ? NULL : list->first;
    for (size_t i = 0; item != NULL && i < outbound->num_certificates; i++, item = item->next) {
        const char *name = outbound->certificates[i].name;
        if (item->is_bad) {
            continue;
        }
        if (strcmp(name, "workload") == 0) {
            report_add(report, REPORT_ERROR, item->place,
                       "name: \"workload\" is the workload certificate's");
        } else if (config_client_certificate(config, name) < i) {
            report_add(report, REPORT_ERROR, item->place, "name: there is a certificate %s already",
                       name);
        }
    }
}

void outbound_rules_check(const struct config *config, const struct outbound_rule *rule,
                          const struct yaml_tree_node *item, struct report *report) {
    struct scene scene = {config, rule, item, report};
    if (rule->peers.num > 0 && (rule->tls == OUTBOUND_PASSTHROUGH || rule->tls == OUTBOUND_DENY)) {
        report_add(report, REPORT_ERROR, place_of(&scene, "peers", true),
                   "peers: tls: %s verifies nobody", outbound_tls_name(rule->tls));
    }
    if (rule->tls == OUTBOUND_MUTUAL || rule->tls == OUTBOUND_SIMPLE) {
        check_own_tls(&scene);
        check_subjects(&scene);
    } else {
        check_servers_keys(&scene);
    }
    check_client_cert(&scene);
    edge_rules_check_refs(&rule->server_certs, yaml_tree_find(item, "serverCerts"), report);
    if ((rule->has_hosts && rule->hosts.num == 0) ||
        (rule->has_networks && rule->networks.num == 0) ||
        (rule->has_ports && rule->ports.num == 0)) {
        report_add(report, REPORT_WARNING, place_of(&scene, "match", false),
                   "match: an empty list matches nothing, so this rule never applies");
    }
}
