#include "agent/status/render_metrics.h"

#include <inttypes.h>
#include <string.h>

#include "agent/status/escape.h"
#include "agent/status/version.h"
#include "certmgr/identity.h"

#define TRUST_EXPIRIES_MAX 1000 // series

// Where lines go; after a failure nothing more is written.
struct sink {
    struct buf *out;
    bool fine;
};

static void header(struct sink *s, const char *name, const char *type, const char *help) {
    s->fine = s->fine && buf_printf(s->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void sample(struct sink *s, const char *name, const char *labels, uint64_t value) {
    bool bare = labels[0] == '\0';
    s->fine = s->fine && buf_printf(s->out, "%s%s%s%s %" PRIu64 "\n", name, bare ? "" : "{", labels,
                                    bare ? "" : "}", value);
}

// A metric of one sample.
static void single(struct sink *s, const char *name, const char *type, const char *help,
                   uint64_t value) {
    header(s, name, type, help);
    sample(s, name, "", value);
}

static void single_double(struct sink *s, const char *name, const char *type, const char *help,
                          double value) {
    header(s, name, type, help);
    s->fine = s->fine && buf_printf(s->out, "%s %.3f\n", name, value);
}

// Rows of metric.def with one name stand together.
static void worker_metrics(struct sink *s, const struct counter_sums *sums) {
    const char *last = "";
    for (unsigned i = 0; i < METRIC_COUNT; i++) {
        const struct metric_info *info = metric_info((enum metric)i);
        if (strcmp(info->name, last) != 0) {
            header(s, info->name, info->type, info->help);
        }
        sample(s, info->name, info->labels, sums->metrics[i]);
        last = info->name;
    }
}

static void by_reason(struct sink *s, const char *name, enum direction direction,
                      const char *reason, uint64_t value) {
    s->fine = s->fine && buf_printf(s->out, "%s{direction=\"%s\",reason=\"%s\"} %" PRIu64 "\n",
                                    name, direction_name(direction), reason, value);
}

static void closed(struct sink *s, const struct counter_sums *sums) {
    const char *name = "pavise_connections_closed_total";
    header(s, name, "counter", "Connections ended, by reason.");
    for (int direction = OUTBOUND; direction <= INBOUND; direction++) {
        for (int i = CLOSE_NONE + 1; i < CLOSE_REASON_COUNT; i++) {
            by_reason(s, name, (enum direction)direction, close_reason_name((enum close_reason)i),
                      sums->closed[direction][i]);
        }
    }
}

static void refused(struct sink *s, const struct counter_sums *sums) {
    const char *name = "pavise_peers_refused_total";
    header(s, name, "counter", "Peers whose certificate was refused, by reason.");
    for (int direction = OUTBOUND; direction <= INBOUND; direction++) {
        for (int i = VERIFY_OK + 1; i < VERIFY_RESULT_COUNT; i++) {
            by_reason(s, name, (enum direction)direction, verify_result_name((enum verify_result)i),
                      sums->refused[direction][i]);
        }
    }
}

static const char NOT_AFTER[] = "pavise_certificate_not_after_timestamp_seconds";
static const char NOT_BEFORE[] = "pavise_certificate_not_before_timestamp_seconds";

struct moment {
    const char *metric;
    const char *kind;
    struct span name;
    int64_t at;
};

static void certificate_time(struct sink *s, const struct moment *moment) {
    struct buf copy = {0};
    s->fine = s->fine && buf_append(&copy, moment->name.ptr, moment->name.len) &&
              buf_append(&copy, "", 1) &&
              buf_printf(s->out, "%s{kind=\"%s\",name=\"", moment->metric, moment->kind) &&
              escape_label(s->out, (const char *)buf_span(&copy).ptr) &&
              buf_printf(s->out, "\"} %" PRId64 "\n", moment->at);
    buf_fini(&copy);
}

static void not_after(struct sink *s, const char *kind, struct span name, int64_t at) {
    certificate_time(s,
                     &(struct moment){.metric = NOT_AFTER, .kind = kind, .name = name, .at = at});
}

// SVIDs of one SPIFFE ID make one series (the first; the others would be duplicates).
static bool is_repeated(const struct identity *identity, size_t index) {
    const struct spiffe_id *id = svid_id(identity_svid_at(identity, index));
    for (size_t i = 0; i < index; i++) {
        if (spiffe_id_equal(svid_id(identity_svid_at(identity, i)), id)) {
            return true;
        }
    }
    return false;
}

static void of_identity(struct sink *s, const struct identity *identity) {
    for (size_t i = 0; i < identity_num_svids(identity); i++) {
        const struct svid *svid = identity_svid_at(identity, i);
        if (!is_repeated(identity, i)) {
            not_after(s, "identity", spiffe_id_text(svid_id(svid)), svid_not_after(svid));
        }
    }
    const struct bundle_set *set = identity_bundles(identity);
    for (size_t i = 0; i < bundle_set_num_domains(set); i++) {
        struct bundle_view view = bundle_set_view(set, i);
        not_after(s, "trust_bundle", view.trust_domain, view.not_after);
    }
}

// With notAfter it says how much of its life a certificate has left.
static void since_when(struct sink *s, const struct identity *identity) {
    header(s, NOT_BEFORE, "gauge", "Since when a certificate is valid, Unix time.");
    for (size_t i = 0; i < identity_num_svids(identity); i++) {
        const struct svid *svid = identity_svid_at(identity, i);
        if (!is_repeated(identity, i)) {
            certificate_time(s, &(struct moment){.metric = NOT_BEFORE,
                                                 .kind = "identity",
                                                 .name = spiffe_id_text(svid_id(svid)),
                                                 .at = svid_not_before(svid)});
        }
    }
}

// Aliases are from the user's own files, and no two are the same.
static void of_trust_store(struct sink *s, const struct trust_set *set) {
    size_t num = 0;
    for (size_t i = 0; i < set->num_entries && num < TRUST_EXPIRIES_MAX; i++) {
        const struct trust_entry *entry = set->entries[i];
        if (entry->origin != TRUST_PUBLIC) {
            not_after(s, "trust", span_of_text(entry->alias), entry->cert->not_after);
            num++;
        }
    }
}

static void certificates(struct sink *s, const struct identity *identity,
                         const struct trust_set *set) {
    if (identity == NULL && set == NULL) {
        return;
    }
    if (identity != NULL) {
        since_when(s, identity);
    }
    header(s, NOT_AFTER, "gauge", "When a certificate expires, Unix time.");
    if (identity != NULL) {
        of_identity(s, identity);
    }
    if (set != NULL) {
        of_trust_store(s, set);
    }
}

// How long from now, as Redis Enterprise says it; negative: since when it has expired.
static void expiries(struct sink *s, const struct view *configured, int64_t now_s) {
    const char *name = "pavise_cert_expires_in_seconds";
    if (configured->num_certificates > 0) {
        header(s, name, "gauge",
               "Time until a certificate that the configuration names expires, in seconds.");
    }
    for (size_t i = 0; i < configured->num_certificates; i++) {
        const struct certificate_view *cert = &configured->certificates[i];
        s->fine = s->fine && buf_printf(s->out, "%s{logical_name=\"", name) &&
                  escape_label(s->out, cert->logical_name) &&
                  buf_append_text(s->out, "\",path=\"") && escape_label(s->out, cert->path) &&
                  buf_printf(s->out, "\"} %" PRId64 "\n", cert->not_after - now_s);
    }
}

// What clients that ask for it get at this moment.
static void staples(struct sink *s, const struct view *configured, int64_t now_s) {
    const char *name = "pavise_ocsp_stapled";
    bool has_header = false;
    for (size_t i = 0; i < configured->num_certificates; i++) {
        const struct certificate_view *cert = &configured->certificates[i];
        if (cert->staple.status == NULL) {
            continue;
        }
        if (!has_header) {
            header(s, name, "gauge",
                   "Whether an OCSP response is stapled, and what the last said.");
        }
        has_header = true;
        s->fine = s->fine && buf_printf(s->out, "%s{logical_name=\"", name) &&
                  escape_label(s->out, cert->logical_name) &&
                  buf_printf(s->out, "\",status=\"%s\"} %d\n", cert->staple.status,
                             certificate_view_is_stapled(cert, now_s));
    }
}

static void identity_metrics(struct sink *s, const struct identity_view *view) {
    const char *updates = "pavise_identity_updates_total";
    const char *state = "pavise_identity_state";
    const char *refused_name = "pavise_identity_refused_total";
    single(s, "pavise_identity_rotations_total", "counter", "Changes to another certificate.",
           view->counts.rotations);
    header(s, updates, "counter", "Updates of the identity source, by result.");
    sample(s, updates, "result=\"accepted\"", view->counts.updates);
    sample(s, updates, "result=\"refused\"", view->counts.refused);
    sample(s, updates, "result=\"withdrawn\"", view->counts.withdrawals);
    header(s, refused_name, "counter", "Updates of the identity source that were refused.");
    for (int i = 0; i < IDENTITY_REFUSAL_COUNT; i++) {
        s->fine = s->fine && buf_printf(s->out, "%s{reason=\"%s\"} %" PRIu64 "\n", refused_name,
                                        identity_refusal_name((enum identity_refusal)i),
                                        view->counts.refused_by[i]);
    }
    if (view->source.next_renewal_ms != 0) {
        single_double(s, "pavise_identity_next_renewal_timestamp_seconds", "gauge",
                      "When the identity source will ask for the next certificate, Unix time.",
                      (double)view->source.next_renewal_ms / 1000.0);
    }
    header(s, state, "gauge", "1 for the state that the identity is in.");
    for (int i = IDENTITY_PENDING; i <= IDENTITY_WITHDRAWN; i++) {
        s->fine = s->fine &&
                  buf_printf(s->out, "%s{state=\"%s\"} %d\n", state,
                             identity_state_name((enum identity_state)i), (int)view->state == i);
    }
}

static void trust_counts(struct sink *s, const struct trust_set *set) {
    const char *name = "pavise_trust_certificates";
    header(s, name, "gauge", "Certificates in the trust store, by who brought them.");
    for (int origin = TRUST_USER; origin <= TRUST_PUBLIC; origin++) {
        s->fine = s->fine && buf_printf(s->out, "%s{origin=\"%s\"} %zu\n", name,
                                        trust_origin_name((enum trust_origin)origin),
                                        trust_set_count(set, (enum trust_origin)origin));
    }
    single(s, "pavise_trust_problems", "gauge",
           "Files and certificates that could not be taken, or are not quite right.",
           set->num_problems + set->num_unsaid);
}

static void trust_metrics(struct sink *s, const struct trust_view *view) {
    if (view->state == TRUST_STATE_OFF) {
        return;
    }
    single(s, "pavise_trust_generation", "gauge", "Counts the trust stores that were written.",
           view->generation);
    single_double(s, "pavise_trust_written_timestamp_seconds", "gauge",
                  "When the trust store was last written, Unix time.",
                  (double)view->written_ms / 1000.0);
    single(s, "pavise_trust_last_sync_successful", "gauge",
           "Whether the last attempt to bring the trust store up to date worked.",
           view->state == TRUST_STATE_WRITTEN);
    single(s, "pavise_trust_restart_needed_processes", "gauge",
           "Processes that use the trust store and started before it was last written.",
           trust_view_num_stale(view));
    if (view->set != NULL) {
        trust_counts(s, view->set);
    }
}

static void audit_metrics(struct sink *s, const struct audit_view *view) {
    const char *records = "pavise_audit_records_total";
    const char *connects = "pavise_audit_connects_total";
    if (!view->is_on && view->num_queued + view->num_dropped == 0) {
        return;
    }
    header(s, records, "counter", "Records of the audit, by what became of them.");
    sample(s, records, "result=\"queued\"", view->num_queued);
    sample(s, records, "result=\"sent\"", view->num_sent);
    sample(s, records, "result=\"dropped\"", view->num_dropped);
    header(s, connects, "counter", "Attempts to reach the collector of the audit, by result.");
    sample(s, connects, "result=\"ok\"", view->num_connected);
    sample(s, connects, "result=\"failed\"", view->num_failed);
    single(s, "pavise_audit_connected", "gauge", "Whether the collector of the audit is reached.",
           view->is_connected);
    single(s, "pavise_audit_queue_bytes", "gauge", "Records that wait for the collector, in bytes.",
           view->held);
}

static void reload_metrics(struct sink *s, const struct reload_view *view) {
    single(s, "pavise_config_last_reload_successful", "gauge",
           "Whether the last reading of the configuration worked.", view->last_successful);
    single_double(s, "pavise_config_last_reload_success_timestamp_seconds", "gauge",
                  "When the configuration was last read with success, Unix time.",
                  (double)view->last_success_ms / 1000.0);
    header(s, "pavise_build_info", "gauge", "What is running; always 1.");
    sample(s, "pavise_build_info", "version=\"" PAVISE_VERSION "\"", 1);
}

// The checks of /readyz one by one, so that an alert can say what is waited for.
static void health_metrics(struct sink *s, const struct render_metrics_input *input) {
    header(s, "pavise_ready", "gauge", "1 for each check of /readyz that passes.");
    for (size_t i = 0; i < input->num_checks; i++) {
        s->fine = s->fine && buf_printf(s->out, "pavise_ready{check=\"%s\"} %d\n",
                                        input->checks[i].check, input->checks[i].ready);
    }
    single(s, "pavise_alive", "gauge", "1 while every worker's loop turns, as /livez says.",
           input->is_alive);
}

static void sandbox_metrics(struct sink *s, const struct render_metrics_input *input) {
    const char *name = "pavise_sandbox_layer";
    header(s, name, "gauge", "1 for each layer of the sandbox that the process is in.");
    for (size_t i = 0; i < input->num_layers; i++) {
        s->fine = s->fine && buf_printf(s->out, "%s{layer=\"%s\"} %d\n", name,
                                        input->layers[i].layer, input->layers[i].is_on);
    }
}

static void process_metrics(struct sink *s, const struct process_stat *p) {
    if (p->has_stat) {
        single_double(s, "process_cpu_seconds_total", "counter",
                      "User and system CPU time spent, in seconds.", p->cpu_seconds);
        single_double(s, "process_start_time_seconds", "gauge",
                      "When the process started, Unix time.", p->start_time_seconds);
        single(s, "process_resident_memory_bytes", "gauge", "Resident memory size, in bytes.",
               p->resident_bytes);
        single(s, "process_virtual_memory_bytes", "gauge", "Virtual memory size, in bytes.",
               p->virtual_bytes);
        single(s, "process_threads", "gauge", "Threads of the process.", p->threads);
    }
    if (p->has_open_fds) {
        single(s, "process_open_fds", "gauge", "Open file descriptors.", p->open_fds);
    }
    if (p->has_max_fds) {
        single(s, "process_max_fds", "gauge", "Most file descriptors that may be open.",
               p->max_fds);
    }
}

bool render_metrics_text(struct buf *out, const struct render_metrics_input *input) {
    struct sink s = {.out = out, .fine = true};
    worker_metrics(&s, input->sums);
    closed(&s, input->sums);
    refused(&s, input->sums);
    certificates(&s, input->identity->identity, input->trust->set);
    expiries(&s, input->configured, input->now_s);
    staples(&s, input->configured, input->now_s);
    identity_metrics(&s, input->identity);
    trust_metrics(&s, input->trust);
    audit_metrics(&s, input->audit);
    reload_metrics(&s, input->reload);
    health_metrics(&s, input);
    sandbox_metrics(&s, input);
    process_metrics(&s, input->process);
    return s.fine;
}
