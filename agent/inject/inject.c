#include "agent/inject/inject.h"

#include <stddef.h>
#include <stdlib.h>

#include "agent/inject/change.h"
#include "agent/inject/edit.h"
#include "agent/inject/manifest.h"
#include "agent/inject/plan.h"
#include "agent/inject/removal.h"
#include "agent/inject/workload.h"

// One text being rewritten.
struct job {
    struct span text;
    const struct settings *settings; // NULL: the injection is taken out
    struct edit_list edits;
    struct buf *report;
    struct err *err;
};

static bool say(const struct job *job, const struct workload *workload, const char *what) {
    return buf_printf(job->report, "%s %s%s%s: %s\n", workload->kind, workload->namespace,
                      *workload->namespace == '\0' ? "" : "/", workload->name, what) ||
           ERR_NO_MEMORY(job->err, "reporting");
}

// Puts place and name before the sentence of a failure.
static bool fail(const struct job *job, const struct workload *workload) {
    unsigned line = 0;
    unsigned column = 0;
    manifest_place(job->text, workload->object->start, &line, &column);
    return err_wrap(job->err, "%u:%u: %s %s%s%s", line, column, workload->kind, workload->namespace,
                    *workload->namespace == '\0' ? "" : "/", workload->name);
}

// --- putting in ----------------------------------------------------------------------------------

static bool say_injected(const struct job *job, const struct workload *workload,
                         const struct plan *plan) {
    struct buf what = {0};
    bool ok = buf_append_text(&what, "injected");
    if (plan->num_probes > 0) {
        ok = ok && buf_printf(&what, ", %zu probe%s through the agent", plan->num_probes,
                              plan->num_probes == 1 ? "" : "s");
    }
    struct span kept = buf_span(&plan->kept);
    if (kept.len > 0) {
        ok = ok && buf_printf(&what, "; the containers' own %.*s stay as they are", (int)kept.len,
                              (const char *)kept.ptr);
    }
    char *text = ok ? buf_take_text(&what) : NULL;
    ok = text != NULL ? say(job, workload, text) : ERR_NO_MEMORY(job->err, "reporting");
    buf_fini(&what);
    free(text);
    return ok;
}

static bool put_in(struct job *job, const struct workload *workload) {
    struct plan plan = {.source = job->text};
    bool ok = plan_pod(&plan, workload->pod, job->settings, job->err);
    for (size_t i = 0; ok && i < plan.changes.num; i++) {
        ok = change_to_edits(&plan.changes.changes[i], job->text, &job->edits, job->err);
    }
    ok = ok ? say_injected(job, workload, &plan) : fail(job, workload);
    plan_fini(&plan);
    return ok;
}

static bool visit_to_put_in(const struct workload *workload, void *context) {
    struct job *job = context;
    enum plan_verdict verdict = plan_judge(workload->pod);
    if (verdict == PLAN_INJECT) {
        return put_in(job, workload);
    }
    struct buf what = {0};
    bool ok = buf_printf(&what, "left alone: %s", plan_verdict_text(verdict));
    char *text = ok ? buf_take_text(&what) : NULL;
    ok = text != NULL ? say(job, workload, text) : ERR_NO_MEMORY(job->err, "reporting");
    buf_fini(&what);
    free(text);
    return ok;
}

// --- taking out ----------------------------------------------------------------------------------

static bool visit_to_take_out(const struct workload *workload, void *context) {
    struct job *job = context;
    if (plan_judge(workload->pod) != PLAN_ALREADY) {
        return say(job, workload, "left alone: it has not been injected");
    }
    if (!removal_plan(workload->pod, job->text, &job->edits, job->err)) {
        return fail(job, workload);
    }
    return say(job, workload, "injection taken out");
}

// --- the text ------------------------------------------------------------------------------------

// What YAML takes for the end of a line must be one here, too, or a line is put into another.
static bool check_lines(const struct job *job) {
    size_t offset = 0;
    unsigned line = 0;
    unsigned column = 0;
    if (edit_has_plain_lines(job->text, &offset)) {
        return true;
    }
    manifest_place(job->text, offset, &line, &column);
    return ERR_SET(job->err, ERR_INPUT,
                   "%u:%u: a lone carriage return, U+0085, U+2028 or U+2029 ends a line here; "
                   "write a newline, or an escape in quotes",
                   line, column);
}

static bool rewrite(struct job *job, workload_fn *visit, struct buf *out) {
    struct manifest manifest = {0};
    bool ok = check_lines(job) && manifest_parse(&manifest, job->text, job->err);
    for (struct manifest_node *document = manifest.first; ok && document != NULL;
         document = document->next) {
        ok = workload_visit(document, visit, job);
    }
    ok = ok && edit_apply(&job->edits, job->text, out, job->err);
    edit_list_fini(&job->edits);
    manifest_fini(&manifest);
    return ok;
}

bool inject_text(struct span text, const struct settings *settings, struct buf *out,
                 struct buf *report, struct err *err) {
    struct job job = {.text = text, .settings = settings, .report = report, .err = err};
    return rewrite(&job, visit_to_put_in, out);
}

bool inject_remove(struct span text, struct buf *out, struct buf *report, struct err *err) {
    struct job job = {.text = text, .report = report, .err = err};
    return rewrite(&job, visit_to_take_out, out);
}
