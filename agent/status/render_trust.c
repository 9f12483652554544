#include "agent/status/render_trust.h"

#include <stdio.h>

#include <jansson.h>

#include "agent/status/json_internal.h"

size_t render_trust_outputs(const struct trust_entry *entry,
                            char out[RENDER_TRUST_OUTPUTS_MAX][300]) {
    size_t num = 0;
    if (trust_set_is_in_bundle(entry)) {
        (void)snprintf(out[num++], sizeof(out[0]), "ca-bundle.pem");
        (void)snprintf(out[num++], sizeof(out[0]), "certs/%08x", entry->cert->name_hash);
    }
    if (trust_set_is_in_extra(entry)) {
        (void)snprintf(out[num++], sizeof(out[0]), "ca-extra.pem");
    }
    if (trust_set_is_in_java(entry)) {
        (void)snprintf(out[num++], sizeof(out[0]), "truststore.p12");
        (void)snprintf(out[num++], sizeof(out[0]), "truststore.jks");
    }
    if (trust_set_has_own_file(entry)) {
        (void)snprintf(out[num++], sizeof(out[0]), "certs/public/%s", entry->alias);
    }
    return num;
}

static void put_outputs(struct object *o, const struct trust_entry *entry) {
    char names[RENDER_TRUST_OUTPUTS_MAX][300];
    size_t num = render_trust_outputs(entry, names);
    json_t *list = json_array();
    for (size_t i = 0; i < num; i++) {
        put_row(o, list, text(names[i]));
    }
    put(o, "outputs", list);
}

static void put_dns_names(struct object *o, const struct trust_cert *cert) {
    json_t *list = json_array();
    for (size_t i = 0; i < cert->num_dns_names; i++) {
        put_row(o, list, text(cert->dns_names[i]));
    }
    put(o, "dnsNames", list);
}

static void put_also_in(struct object *o, const struct trust_entry *entry) {
    json_t *list = json_array();
    for (size_t i = 0; i < entry->num_also_in; i++) {
        put_row(o, list, text(entry->also_in[i]));
    }
    put(o, "alsoIn", list);
}

static void put_warnings(struct object *o, unsigned findings) {
    json_t *list = json_array();
    for (unsigned i = 0; i < TRUST_FINDINGS; i++) {
        if ((findings & 1U << i) != 0) {
            const char *name = trust_cert_finding_name((enum trust_finding)(1U << i));
            put_row(o, list, json_string(name));
        }
    }
    put(o, "warnings", list);
}

static json_t *entry_json(const struct trust_entry *entry) {
    const struct trust_cert *cert = entry->cert;
    struct object o = object_begin();
    put(&o, "name", text(entry->alias));
    put(&o, "thumbprint", hex(cert->sha1, sizeof(cert->sha1)));
    put(&o, "sha256", hex(cert->sha256, sizeof(cert->sha256)));
    put(&o, "subjectName", text(cert->subject));
    put(&o, "issuer", text(cert->issuer));
    put(&o, "issuedDate", time_s(cert->not_before));
    put(&o, "activateDate", time_s(cert->not_before));
    put(&o, "expirationDate", time_s(cert->not_after));
    put_dns_names(&o, cert);
    put(&o, "source", text(entry->source));
    put_also_in(&o, entry);
    put(&o, "origin", json_string(trust_origin_name(entry->origin)));
    put(&o, "publicRoot", json_boolean(entry->is_public));
    put(&o, "loadTrustStore", json_boolean(entry->is_loaded));
    put_outputs(&o, entry);
    put_warnings(&o, entry->findings);
    return object_end(&o);
}

// The rows, how many there would be without a limit, and whether that is more.
static void put_certificates(struct object *o, const struct trust_set *set,
                             struct render_trust_scope scope) {
    json_t *list = json_array();
    size_t total = 0;
    for (size_t i = 0; set != NULL && i < set->num_entries; i++) {
        const struct trust_entry *entry = set->entries[i];
        if (!scope.all && entry->origin == TRUST_PUBLIC) {
            continue;
        }
        if (total++ < scope.rows_max) {
            put_row(o, list, entry_json(entry));
        }
    }
    put(o, "certificates", list);
    put(o, "total", number(total));
    put(o, "truncated", json_boolean(total > scope.rows_max));
}

static json_t *problem(const struct trust_problem *p) {
    struct object o = object_begin();
    put(&o, "source", text(p->place));
    put(&o, "reason", text(p->sentence));
    put(&o, "skipped", json_boolean(p->is_whole));
    return object_end(&o);
}

static void put_problems(struct object *o, const struct trust_set *set) {
    json_t *list = json_array();
    for (size_t i = 0; set != NULL && i < set->num_problems; i++) {
        put_row(o, list, problem(&set->problems[i]));
    }
    put(o, "problems", list);
}

static json_t *process(const struct trust_process_view *p) {
    struct object o = object_begin();
    put(&o, "pid", json_integer(p->pid));
    put(&o, "command", text(p->command));
    put(&o, "startedAt", time_s(p->started_ms / 1000));
    put(&o, "restartNeeded", json_boolean(p->needs_restart));
    return object_end(&o);
}

static void put_processes(struct object *o, const struct trust_view *view) {
    json_t *list = json_array();
    for (size_t i = 0; i < view->num_processes; i++) {
        put_row(o, list, process(&view->processes[i]));
    }
    put(o, "processes", list);
}

static json_t *public_roots(const struct trust_view *view) {
    struct object o = object_begin();
    size_t num = view->set == NULL ? 0 : trust_set_count(view->set, TRUST_PUBLIC);
    put(&o, "source", view->public_roots[0] == '\0' ? json_null() : text(view->public_roots));
    put(&o, "certificates", number(num));
    return object_end(&o);
}

bool render_trust_entry(struct buf *out, const struct trust_entry *entry) {
    return dump(out, entry_json(entry));
}

bool render_trust_view(struct buf *out, const struct trust_view *view,
                       struct render_trust_scope scope) {
    struct object o = object_begin();
    const struct trust_set *set = view->set;
    put(&o, "state", json_string(trust_state_name(view->state)));
    put(&o, "output", view->output[0] == '\0' ? json_null() : text(view->output));
    put(&o, "generation", number(view->generation));
    put(&o, "writtenAt", time_s(view->written_ms / 1000));
    put(&o, "checkedAt", time_s(view->checked_ms / 1000));
    put(&o, "lastError", text(view->last_error));
    put(&o, "publicRoots", public_roots(view));
    put_certificates(&o, set, scope);
    put_problems(&o, set);
    put(&o, "problemsUnsaid", number(set == NULL ? 0 : set->num_unsaid));
    put_processes(&o, view);
    put(&o, "processesUnreadable", number(view->num_unreadable));
    put(&o, "restartNeeded", json_boolean(trust_view_num_stale(view) > 0));
    return dump(out, object_end(&o));
}
