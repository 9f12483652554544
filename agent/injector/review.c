#include "agent/injector/review.h"

#include <stdio.h>
#include <string.h>

#include "agent/inject/change.h"
#include "agent/inject/manifest.h"
#include "agent/inject/plan.h"
#include "agent/inject/render.h"
#include "base/text.h"

#define API_VERSION "admission.k8s.io/v1"

// RFC 4648 section 4.
static bool put_base64(struct buf *out, struct span bytes) {
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bool ok = true;
    for (size_t i = 0; ok && i < bytes.len; i += 3) {
        size_t num = bytes.len - i < 3 ? bytes.len - i : 3;
        unsigned group = (unsigned)bytes.ptr[i] << 16;
        group |= num > 1 ? (unsigned)bytes.ptr[i + 1] << 8 : 0;
        group |= num > 2 ? bytes.ptr[i + 2] : 0;
        const char digits[4] = {DIGITS[group >> 18 & 63], DIGITS[group >> 12 & 63],
                                num > 1 ? DIGITS[group >> 6 & 63] : '=',
                                num > 2 ? DIGITS[group & 63] : '='};
        ok = buf_append(out, digits, sizeof digits);
    }
    return ok;
}

static bool says(const struct manifest_node *map, const char *key, const char *value) {
    const char *text = manifest_text(map, key);
    return text != NULL && strcmp(text, value) == 0;
}

static void say(struct review_report *report, const char *sentence) {
    snprintf(report->sentence, sizeof report->sentence, "%s", sentence);
}

// --- the answer ----------------------------------------------------------------------------------

static bool begin_answer(struct buf *out, const char *uid, bool allowed) {
    return buf_append_text(out, "{\"apiVersion\":\"" API_VERSION "\",\"kind\":\"AdmissionReview\","
                                "\"response\":{\"uid\":") &&
           render_quoted(out, span_of_text(uid)) &&
           buf_printf(out, ",\"allowed\":%s", allowed ? "true" : "false");
}

static bool answer_plain(struct buf *out, const char *uid) {
    return begin_answer(out, uid, true) && buf_append_text(out, "}}");
}

static bool answer_denied(struct buf *out, const char *uid, const char *sentence) {
    struct buf message = {0};
    bool ok =
        buf_printf(&message, "pavise: %s", sentence) && begin_answer(out, uid, false) &&
        buf_append_text(out, ",\"status\":{\"code\":422,\"reason\":\"Invalid\",\"message\":") &&
        render_quoted(out, buf_span(&message)) && buf_append_text(out, "}}}");
    buf_fini(&message);
    return ok;
}

static bool render_patch(const struct change_list *changes, const struct manifest_node *pod,
                         struct buf *patch) {
    bool ok = true;
    for (size_t i = 0; ok && i < changes->num; i++) {
        ok = buf_append_text(patch, i == 0 ? "[" : "") &&
             change_to_patch(&changes->changes[i], pod, patch);
    }
    return ok;
}

static bool answer_patch(struct buf *out, const char *uid, const struct change_list *changes,
                         const struct manifest_node *pod) {
    struct buf patch = {0};
    struct buf list = {0};
    bool ok = render_patch(changes, pod, &patch);
    struct span operations = buf_span(&patch);
    // The last operation's comma becomes the end of the list.
    ok = ok && operations.len > 0 && buf_append(&list, operations.ptr, operations.len - 1) &&
         buf_append_text(&list, "]") && begin_answer(out, uid, true) &&
         buf_append_text(out, ",\"patchType\":\"JSONPatch\",\"patch\":\"") &&
         put_base64(out, buf_span(&list)) && buf_append_text(out, "\"}}");
    buf_fini(&patch);
    buf_fini(&list);
    return ok;
}

// --- judging -------------------------------------------------------------------------------------

static bool answer_pod(struct manifest_node *pod, const char *uid, const struct settings *settings,
                       struct buf *out, struct review_report *report) {
    enum plan_verdict verdict = plan_judge(pod);
    if (verdict != PLAN_INJECT) {
        report->result = REVIEW_LEFT_ALONE;
        say(report, plan_verdict_text(verdict));
        return answer_plain(out, uid);
    }
    struct plan plan = {0};
    struct err err = {0};
    bool planned = plan_pod(&plan, pod, settings, &err);
    bool ok =
        planned ? answer_patch(out, uid, &plan.changes, pod) : answer_denied(out, uid, err.msg);
    report->result = planned ? REVIEW_PATCHED : REVIEW_DENIED;
    say(report, err.msg);
    plan_fini(&plan);
    return ok && (planned || err.class != ERR_ENVIRONMENT);
}

static bool is_pods_creation(const struct manifest_node *request) {
    const struct manifest_node *kind = manifest_find(request, "kind");
    return says(request, "operation", "CREATE") && says(kind, "kind", "Pod") &&
           says(kind, "version", "v1") && says(kind, "group", "");
}

static bool bad(struct review_report *report, const char *sentence) {
    report->result = REVIEW_BAD;
    say(report, sentence);
    return true;
}

static bool answer(const struct manifest_node *review, const struct settings *settings,
                   struct buf *out, struct review_report *report) {
    struct manifest_node *request = manifest_find(review, "request");
    struct manifest_node *pod = manifest_find(request, "object");
    const struct manifest_node *metadata = manifest_find(pod, "metadata");
    const char *uid = manifest_text(request, "uid");
    if (!says(review, "kind", "AdmissionReview") || !says(review, "apiVersion", API_VERSION)) {
        return bad(report, "it is not an AdmissionReview of " API_VERSION);
    }
    if (uid == NULL || *uid == '\0' || strlen(uid) > 128) {
        return bad(report, "the request has no uid");
    }
    const char *name = manifest_text(metadata, "name");
    text_copy(report->namespace, sizeof report->namespace, manifest_text(request, "namespace"));
    text_copy(report->name, sizeof report->name,
              name != NULL ? name : manifest_text(metadata, "generateName"));
    if (!is_pods_creation(request) || pod == NULL || pod->kind != MANIFEST_MAP) {
        report->result = REVIEW_LEFT_ALONE;
        say(report, "it is not the creation of a pod");
        return answer_plain(out, uid);
    }
    return answer_pod(pod, uid, settings, out, report);
}

bool review_answer(struct span request, const struct settings *settings, struct buf *out,
                   struct review_report *report) {
    *report = (struct review_report){.result = REVIEW_BAD};
    struct manifest manifest = {0};
    struct err err = {0};
    bool ok = request.len <= REVIEW_MAX && manifest_parse(&manifest, request, &err);
    if (!ok) {
        ok = err.class != ERR_ENVIRONMENT &&
             bad(report, err.class == ERR_NONE ? "it is longer than 4 MiB" : err.msg);
    } else {
        ok = answer(manifest.first, settings, out, report);
    }
    manifest_fini(&manifest);
    return ok;
}
