// The trust store's part in the agent: its keeper runs beside the control loop and reports; what it
// says is logged, waited for by readiness, and shown.
#include <stdlib.h>
#include <string.h>

#include "agent/control/control_parts_internal.h"
#include "agent/trust/trust_keeper.h"
#include "agent/trust/trust_users.h"
#include "base/buf.h"
#include "base/log.h"
#include "certmgr/bundle.h"

#define LINES_MAX 100 // of one kind in the log for one pass

struct control_trust {
    struct trust_keeper_sink sink;
    struct trust_keeper *keeper;
    struct trust_view view; // the latest report's
};

static void control_trust_free(struct control_trust *trust) {
    if (trust == NULL) {
        return;
    }
    trust_keeper_free(trust->keeper);
    trust_keeper_report_free(mailbox_take(&trust->sink.reports));
    trust_view_fini(&trust->view);
    free(trust);
}
OWN_DEFINE(struct control_trust, control_trust_free)

// --- the log ---

static void log_place(enum log_level level, const char *event, const char *place,
                      const char *detail) {
    struct log_line line;
    log_begin(&line, level, event);
    log_text(&line, "source", place);
    log_text(&line, "detail", detail);
    log_end(&line);
}

static bool was_said(const struct trust_set *before, const struct trust_problem *problem) {
    for (size_t i = 0; before != NULL && i < before->num_problems; i++) {
        const struct trust_problem *other = &before->problems[i];
        if (strcmp(other->place, problem->place) == 0 &&
            strcmp(other->sentence, problem->sentence) == 0) {
            return true;
        }
    }
    return false;
}

static void log_problems(const struct trust_set *before, const struct trust_set *now) {
    size_t num = 0;
    for (size_t i = 0; i < now->num_problems && num < LINES_MAX; i++) {
        const struct trust_problem *problem = &now->problems[i];
        if (!was_said(before, problem)) {
            log_place(LOG_WARN,
                      problem->is_whole ? "trust_certificate_skipped" : "trust_certificate",
                      problem->place, problem->sentence);
            num++;
        }
    }
}

static int compare_digests(const struct trust_entry *a, const struct trust_entry *b) {
    return memcmp(a->cert->sha256, b->cert->sha256, TRUST_CERT_SHA256_LEN);
}

// Azure Spring's line, so that whoever searches for it finds it.
static void log_loaded(const struct trust_entry *entry) {
    char sha1[2 * TRUST_CERT_SHA1_LEN + 1];
    const char *slash = strrchr(entry->source, '/');
    trust_cert_hex(entry->cert->sha1, TRUST_CERT_SHA1_LEN, sha1);
    log_msg(LOG_INFO, "trust_certificate_loaded",
            "Load certificate from specific path. alias = %s, thumbprint = %s, file = %s",
            entry->alias, sha1, slash == NULL ? entry->source : slash + 1);
}

// Both sets are sorted by digest, so one walk finds what is in one only.
static void log_differences(const struct trust_set *before, const struct trust_set *now) {
    size_t num_before = before == NULL ? 0 : before->num_entries;
    size_t old = 0, num = 0;
    for (size_t new = 0; new < now->num_entries || old < num_before;) {
        int order = new == now->num_entries ? -1
                    : old == num_before     ? 1
                                        : compare_digests(before->entries[old], now->entries[new]);
        if (order > 0 && now->entries[new]->origin != TRUST_PUBLIC && num++ < LINES_MAX) {
            log_loaded(now->entries[new]);
        } else if (order < 0 && before->entries[old]->origin != TRUST_PUBLIC && num++ < LINES_MAX) {
            log_place(LOG_INFO, "trust_certificate_removed", before->entries[old]->source,
                      before->entries[old]->alias);
        }
        new += order >= 0;
        old += order <= 0;
    }
}

static void log_events(const struct buf *events) {
    struct span text = buf_span(events);
    while (text.len > 1) {
        const uint8_t *end = memchr(text.ptr, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.ptr);
        log_msg(text.ptr[0] == '+' ? LOG_INFO : LOG_WARN, "trust_sync", "%.*s", (int)len - 1,
                (const char *)text.ptr + 1);
        text = span_after(text, end == NULL ? len : len + 1);
    }
}

static void log_written(const struct trust_view *view) {
    struct log_line line;
    log_begin(&line, LOG_INFO, "trust_store_written");
    log_text(&line, "output", view->output);
    log_u64(&line, "generation", view->generation);
    log_u64(&line, "certificates", view->set->num_entries);
    log_u64(&line, "problems", view->set->num_problems + view->set->num_unsaid);
    log_end(&line);
}

// Applications mostly read their store once, when they start.
static void log_stale(const struct trust_view *view) {
    struct trust_view with_users = {.written_ms = view->written_ms};
    memcpy(with_users.output, view->output, sizeof(with_users.output));
    if (trust_users_find("/proc", &with_users)) {
        size_t num = trust_view_num_stale(&with_users);
        if (num > 0) {
            log_msg(LOG_WARN, "restart_needed",
                    "%zu processes started before the trust store changed (first: pid %d, %s); "
                    "most runtimes read it only when they start",
                    num, (int)with_users.processes[0].pid, with_users.processes[0].command);
        }
    }
    trust_view_fini(&with_users);
}

static void log_report(const struct trust_view *before, const struct trust_keeper_report *report) {
    const struct trust_view *view = &report->view;
    log_events(&report->events);
    if (view->last_error[0] != '\0' && strcmp(view->last_error, before->last_error) != 0) {
        log_msg(LOG_ERROR, "trust_store_failed", "%s%s", view->last_error,
                view->generation > 0 ? "; the store that was written before stays" : "");
    }
    if (view->set != NULL && view->set != before->set) {
        log_problems(before->set, view->set);
        log_differences(before->set, view->set);
    }
    if (report->changed && view->set != NULL) {
        log_written(view);
        log_stale(view);
    }
}

// --- the keeper ---

static void on_report(struct ev_loop *loop UNUSED, ev_async *async, int events UNUSED) {
    struct control *control = async->data;
    struct control_trust *trust = control->trust;
    OWNED(trust_keeper_report_free)
    struct trust_keeper_report *report = trust == NULL ? NULL : mailbox_take(&trust->sink.reports);
    if (report == NULL) {
        return;
    }
    log_report(&trust->view, report);
    trust_view_fini(&trust->view);
    trust->view = report->view;
    report->view = (struct trust_view){0};
}

static void wake(void *arg) {
    struct control *control = arg;
    ev_async_send(control->loop, &control->trust_wake);
}

static struct control_trust *start(struct control *control, struct err *err) {
    OWNED(control_trust_free) struct control_trust *trust = calloc(1, sizeof(*trust));
    if (trust == NULL) {
        ERR_NO_MEMORY(err, "starting the trust store");
        return NULL;
    }
    trust->sink.wake = wake;
    trust->sink.arg = control;
    trust->keeper = trust_keeper_start(control->config, &trust->sink, err);
    return trust->keeper == NULL ? NULL : take(&trust);
}

bool control_trust_start(struct control *control, struct err *err) {
    ev_async_init(&control->trust_wake, on_report);
    control->trust_wake.data = control;
    ev_async_start(control->loop, &control->trust_wake);
    if (!control->config->trust_store.is_set) {
        return true;
    }
    control->trust = start(control, err);
    return control->trust != NULL;
}

void control_trust_reload(struct control *control) {
    struct err err = {0};
    struct control_trust *old = take(&control->trust);
    struct trust_view view = {0};
    if (old != NULL) { // until the new keeper reports; two of them would be in each other's way
        view = old->view;
        old->view = (struct trust_view){0};
        control_trust_free(old);
    }
    if (control->config->trust_store.is_set) {
        control->trust = start(control, &err);
        if (control->trust == NULL) {
            log_msg(LOG_ERROR, "trust_store_failed", "%s; it is not kept in step any more",
                    err.msg);
        }
    }
    if (control->trust != NULL) {
        control->trust->view = view;
        control_trust_identity(control);
    } else {
        trust_view_fini(&view);
    }
}

void control_trust_stop(struct control *control) {
    control_trust_free(take(&control->trust));
}

// --- SPIFFE bundles ---

static bool add_bundle(struct trust_keeper_bundles *bundles, const struct bundle_set *set,
                       size_t index) {
    struct trust_keeper_roots *roots = &bundles->items[bundles->num++];
    struct span domain = bundle_set_view(set, index).trust_domain;
    roots->trust_domain = strndup((const char *)domain.ptr, domain.len);
    return roots->trust_domain != NULL && bundle_set_append_roots(set, index, &roots->der);
}

static struct trust_keeper_bundles *copy_bundles(const struct bundle_set *set) {
    OWNED(trust_keeper_bundles_free)
    struct trust_keeper_bundles *bundles = calloc(1, sizeof(*bundles));
    size_t num = set == NULL ? 0 : bundle_set_num_domains(set);
    if (bundles == NULL || (bundles->items = calloc(num + 1, sizeof(*bundles->items))) == NULL) {
        return NULL;
    }
    bool ok = true;
    for (size_t i = 0; ok && i < num; i++) {
        ok = add_bundle(bundles, set, i);
    }
    return ok ? take(&bundles) : NULL;
}

void control_trust_identity(struct control *control) {
    const struct identity *identity = control->last_identity;
    if (control->trust == NULL || !control->config->trust_store.spiffe_bundles) {
        return;
    }
    struct trust_keeper_bundles *bundles =
        copy_bundles(identity == NULL ? NULL : identity_bundles(identity));
    if (bundles == NULL) {
        log_msg(LOG_ERROR, "no_memory", "the trust store does not have the latest SPIFFE bundles");
        return;
    }
    trust_keeper_set_bundles(control->trust->keeper, bundles);
}

// --- what the status port shows ---

bool control_trust_is_written(const struct control *control) {
    return control->trust == NULL || control->trust->view.generation > 0;
}

const char *control_trust_error(const struct control *control) {
    return control->trust == NULL ? "" : control->trust->view.last_error;
}

void control_trust_view(const struct control *control, struct trust_view *out) {
    *out = (struct trust_view){0};
    if (control->trust == NULL) {
        return;
    }
    *out = control->trust->view;
    out->processes = NULL;
    out->num_processes = 0;
    if (out->set != NULL) {
        trust_set_ref(out->set);
    }
    if (out->state == TRUST_STATE_OFF) { // the keeper has not reported yet
        out->state = TRUST_STATE_PENDING;
    }
    (void)!trust_users_find("/proc", out); // without memory, those that were found
}
