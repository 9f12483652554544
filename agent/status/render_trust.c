#include "agent/status/render_trust.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "agent/status/json_internal.h"
#include "base/clock.h"

static json_t *time_ms(int64_t wall_ms) {
    char out[CLOCK_TEXT_MAX];
    if (wall_ms == 0) {
        return json_null();
    }
    clock_format(wall_ms, false, out);
    return json_string(out);
}

static json_t *hex(const uint8_t *bytes, size_t len) {
    char out[2 * TRUST_CERT_SHA256_LEN + 1];
    trust_cert_hex(bytes, len, out);
    return json_string(out);
}

// A list, or NULL when an item could not be made.
static json_t *append(json_t *list, json_t *item) {
    if (json_array_append_new(list, item) != 0) {
        json_decref(list);
        return NULL;
    }
    return list;
}

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

static json_t *outputs(const struct trust_entry *entry) {
    char names[RENDER_TRUST_OUTPUTS_MAX][300];
    size_t num = render_trust_outputs(entry, names);
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && i < num; i++) {
        list = append(list, text(names[i]));
    }
    return list;
}

static json_t *dns_names(const struct trust_cert *cert) {
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && i < cert->num_dns_names; i++) {
        list = append(list, text(cert->dns_names[i]));
    }
    return list;
}

static json_t *also_in(const struct trust_entry *entry) {
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && i < entry->num_also_in; i++) {
        list = append(list, text(entry->also_in[i]));
    }
    return list;
}

static json_t *warnings(unsigned findings) {
    json_t *list = json_array();
    for (unsigned i = 0; list != NULL && i < TRUST_FINDINGS; i++) {
        if ((findings & 1U << i) != 0) {
            list =
                append(list, json_string(trust_cert_finding_name((enum trust_finding)(1U << i))));
        }
    }
    return list;
}

static json_t *entry_json(const struct trust_entry *entry) {
    const struct trust_cert *cert = entry->cert;
    struct object o = object_begin();
    put(&o, "name", text(entry->alias));
    put(&o, "thumbprint", hex(cert->sha1, sizeof(cert->sha1)));
    put(&o, "sha256", hex(cert->sha256, sizeof(cert->sha256)));
    put(&o, "subjectName", text(cert->subject));
    put(&o, "issuer", text(cert->issuer));
    put(&o, "issuedDate", time_ms(cert->not_before * 1000));
    put(&o, "activateDate", time_ms(cert->not_before * 1000));
    put(&o, "expirationDate", time_ms(cert->not_after * 1000));
    put(&o, "dnsNames", dns_names(cert));
    put(&o, "source", text(entry->source));
    put(&o, "alsoIn", also_in(entry));
    put(&o, "origin", json_string(trust_origin_name(entry->origin)));
    put(&o, "publicRoot", json_boolean(entry->is_public));
    put(&o, "loadTrustStore", json_boolean(entry->is_loaded));
    put(&o, "outputs", outputs(entry));
    put(&o, "warnings", warnings(entry->findings));
    return object_end(&o);
}

// The rows, and in `*total` how many there would be without a limit.
static json_t *certificates(const struct trust_set *set, struct render_trust_scope scope,
                            size_t *total) {
    json_t *list = json_array();
    *total = 0;
    for (size_t i = 0; set != NULL && list != NULL && i < set->num_entries; i++) {
        const struct trust_entry *entry = set->entries[i];
        if (!scope.all && entry->origin == TRUST_PUBLIC) {
            continue;
        }
        if ((*total)++ < scope.rows_max) {
            list = append(list, entry_json(entry));
        }
    }
    return list;
}

static json_t *problem(const struct trust_problem *p) {
    struct object o = object_begin();
    put(&o, "source", text(p->place));
    put(&o, "reason", text(p->sentence));
    put(&o, "skipped", json_boolean(p->is_whole));
    return object_end(&o);
}

static json_t *problems(const struct trust_set *set) {
    json_t *list = json_array();
    for (size_t i = 0; set != NULL && list != NULL && i < set->num_problems; i++) {
        list = append(list, problem(&set->problems[i]));
    }
    return list;
}

static json_t *process(const struct trust_process_view *p) {
    struct object o = object_begin();
    put(&o, "pid", json_integer(p->pid));
    put(&o, "command", text(p->command));
    put(&o, "startedAt", time_ms(p->started_ms));
    put(&o, "restartNeeded", json_boolean(p->needs_restart));
    return object_end(&o);
}

static json_t *processes(const struct trust_view *view) {
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && i < view->num_processes; i++) {
        list = append(list, process(&view->processes[i]));
    }
    return list;
}

static json_t *public_roots(const struct trust_view *view) {
    struct object o = object_begin();
    size_t num = view->set == NULL ? 0 : trust_set_count(view->set, TRUST_PUBLIC);
    put(&o, "source", view->public_roots[0] == '\0' ? json_null() : text(view->public_roots));
    put(&o, "certificates", json_integer((json_int_t)num));
    return object_end(&o);
}

bool render_trust_entry(struct buf *out, const struct trust_entry *entry) {
    return dump(out, entry_json(entry));
}

bool render_trust_view(struct buf *out, const struct trust_view *view,
                       struct render_trust_scope scope) {
    struct object o = object_begin();
    size_t total = 0;
    const struct trust_set *set = view->set;
    put(&o, "state", json_string(trust_state_name(view->state)));
    put(&o, "output", view->output[0] == '\0' ? json_null() : text(view->output));
    put(&o, "generation", json_integer((json_int_t)view->generation));
    put(&o, "writtenAt", time_ms(view->written_ms));
    put(&o, "checkedAt", time_ms(view->checked_ms));
    put(&o, "lastError", text(view->last_error));
    put(&o, "publicRoots", public_roots(view));
    put(&o, "certificates", certificates(set, scope, &total));
    put(&o, "total", json_integer((json_int_t)total));
    put(&o, "truncated", json_boolean(total > scope.rows_max));
    put(&o, "problems", problems(set));
    put(&o, "problemsUnsaid", json_integer(set == NULL ? 0 : (json_int_t)set->num_unsaid));
    put(&o, "processes", processes(view));
    put(&o, "processesUnreadable", json_integer((json_int_t)view->num_unreadable));
    put(&o, "restartNeeded", json_boolean(trust_view_num_stale(view) > 0));
    return dump(out, object_end(&o));
}
