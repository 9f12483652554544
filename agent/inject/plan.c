#include "agent/inject/plan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/config.h"
#include "agent/inject/agent_config.h"
#include "agent/inject/injected.h"
#include "agent/inject/mark.h"
#include "agent/inject/original.h"
#include "agent/inject/probes.h"
#include "agent/inject/render.h"

enum { DEFAULT_GRACE_S = 30, CONTAINERS_MAX = 256 };

// What is known while one pod is planned.
struct planner {
    struct plan *plan;
    struct manifest_node *pod;
    struct manifest_node *spec;
    struct settings settings;
    struct buf probes; // rows of status.probes
    struct original_moved moved;
    bool shares_processes; // the agent sees by itself that the application has ended
    const char *added;     // of MARK_ADDED; "" for nothing
    const char *app;       // the first container's name
    struct err *err;
};

void plan_fini(struct plan *plan) {
    change_list_fini(&plan->changes);
    buf_fini(&plan->kept);
}

// --- judging -------------------------------------------------------------------------------------

static bool says(const struct manifest_node *map, const char *key, const char *value) {
    const char *text = manifest_text(map, key);
    return text != NULL && strcmp(text, value) == 0;
}

enum plan_verdict plan_judge(struct manifest_node *pod) {
    const struct manifest_node *spec = manifest_find(pod, "spec");
    const struct manifest_node *containers = manifest_find(spec, "containers");
    const struct manifest_node *annotations = manifest_at(pod, "metadata/annotations");
    if (manifest_find(annotations, MARK_INJECTED) != NULL) {
        return PLAN_ALREADY;
    }
    if (says(annotations, SETTINGS_LABEL, "disabled") ||
        says(manifest_at(pod, "metadata/labels"), SETTINGS_LABEL, "disabled")) {
        return PLAN_DISABLED;
    }
    if (containers == NULL || containers->kind != MANIFEST_LIST || containers->num == 0) {
        return PLAN_EMPTY;
    }
    if (says(spec, "hostNetwork", "true")) {
        return PLAN_HOST;
    }
    return says(manifest_find(spec, "os"), "name", "windows") ? PLAN_WINDOWS : PLAN_INJECT;
}

const char *plan_verdict_text(enum plan_verdict verdict) {
    switch (verdict) {
    case PLAN_INJECT:
        return "to be injected";
    case PLAN_ALREADY:
        return "it has been injected already";
    case PLAN_DISABLED:
        return SETTINGS_LABEL " says disabled";
    case PLAN_HOST:
        return "it uses the node's network (hostNetwork), whose rules would be changed";
    case PLAN_WINDOWS:
        return "it is for Windows";
    case PLAN_EMPTY:
        return "it has no containers";
    }
    return "";
}

// --- refusing ------------------------------------------------------------------------------------

static bool runs_as_agent(const struct manifest_node *holder) {
    const char *uid = manifest_text(manifest_find(holder, "securityContext"), "runAsUser");
    return uid != NULL && strtoul(uid, NULL, 10) == INJECTED_UID;
}

// The name goes into paths and configuration: an RFC 1123 label, as the API server wants it.
static bool is_label(const char *name) {
    size_t len = name == NULL ? 0 : strlen(name);
    bool ok = len > 0 && len <= 63 && name[0] != '-' && name[len - 1] != '-';
    for (size_t i = 0; ok && i < len; i++) {
        ok = islower((unsigned char)name[i]) || isdigit((unsigned char)name[i]) || name[i] == '-';
    }
    return ok;
}

static bool check_container(const struct planner *planner, const struct manifest_node *container) {
    const char *name = manifest_text(container, "name");
    if (container->kind != MANIFEST_MAP || !is_label(name)) {
        return ERR_SET(planner->err, ERR_INPUT,
                       "a container is a mapping with a name; "
                       "aliases must be written out");
    }
    if (manifest_find(container, "<<") != NULL) {
        return ERR_SET(planner->err, ERR_INPUT, "container %s is merged (<<); write it out", name);
    }
    if (runs_as_agent(container)) {
        return ERR_SET(planner->err, ERR_INPUT,
                       "container %s runs as uid %d, which is the agent's: its connections would "
                       "not be captured; choose another runAsUser",
                       name, INJECTED_UID);
    }
    return true;
}

static bool check_pod(const struct planner *planner) {
    const char *leftover = mark_find_leftover(planner->pod);
    if (leftover != NULL) {
        return ERR_SET(planner->err, ERR_INPUT,
                       "it has \"%.64s\" but no annotation " MARK_INJECTED
                       ": take out what is left of an injection, or rename what is yours",
                       leftover);
    }
    if (manifest_find(planner->spec, "<<") != NULL || manifest_find(planner->pod, "<<") != NULL) {
        return ERR_SET(planner->err, ERR_INPUT, "the pod is merged (<<); write it out");
    }
    const struct manifest_node *metadata = manifest_find(planner->pod, "metadata");
    if (metadata != NULL && metadata->kind != MANIFEST_MAP && !manifest_is_null(metadata)) {
        return ERR_SET(planner->err, ERR_INPUT,
                       "its metadata is not a mapping; aliases must be written out");
    }
    if (runs_as_agent(planner->spec)) {
        return ERR_SET(planner->err, ERR_INPUT,
                       "it runs as uid %d, which is the agent's: its connections would not be "
                       "captured; choose another runAsUser",
                       INJECTED_UID);
    }
    if (settings_is(&planner->settings, SETTING_IDENTITY, "podCertificate") &&
        !settings_has(&planner->settings, SETTING_IDENTITY_SIGNER)) {
        return ERR_SET(planner->err, ERR_INPUT,
                       SETTINGS_PREFIX "identity: podCertificate needs " SETTINGS_PREFIX
                                       "identity-signer");
    }
    return true;
}

// As an ordinary container the agent is not told when the application has ended, and is not started
// again with it.
static bool check_ending(const struct planner *planner) {
    if (settings_is(&planner->settings, SETTING_SIDECAR, "native")) {
        return true;
    }
    if (says(planner->spec, "restartPolicy", "OnFailure")) {
        return ERR_SET(planner->err, ERR_INPUT,
                       SETTINGS_PREFIX
                       "sidecar: container does not go with restartPolicy: "
                       "OnFailure: the agent leaves when the application has ended, "
                       "and would be missing when that is started again; say Never");
    }
    const char *shares = manifest_text(planner->spec, MARK_SHARES);
    if (planner->shares_processes && shares != NULL && strcmp(shares, "true") != 0) {
        return ERR_SET(planner->err, ERR_INPUT,
                       SETTINGS_PREFIX
                       "sidecar: container needs shareProcessNamespace: true in a "
                       "pod that ends, by which the agent sees the application end");
    }
    if (planner->shares_processes && says(planner->spec, "hostPID", "true")) {
        return ERR_SET(planner->err, ERR_INPUT,
                       SETTINGS_PREFIX
                       "sidecar: container does not go with hostPID: true in a pod that ends: "
                       "among all of the node's processes the agent cannot see the application "
                       "end; leave hostPID out");
    }
    return true;
}

// --- changing ------------------------------------------------------------------------------------

// Puts the pair that `text` says into `map`; nothing where there is no text. `text` is emptied.
static bool put(const struct planner *planner, struct manifest_node *map, struct buf *text) {
    if (buf_span(text).len == 0) {
        return true;
    }
    const struct manifest_node *value = change_value(&planner->plan->changes, text, planner->err);
    return value != NULL && change_put(&planner->plan->changes, map, value, planner->err);
}

static bool out_of_memory(const struct planner *planner, struct buf *text) {
    buf_fini(text);
    return ERR_NO_MEMORY(planner->err, "planning an injection");
}

static bool plan_trust(const struct planner *planner, struct manifest_node *container) {
    struct buf text = {0};
    if (!injected_variables(&planner->settings, manifest_find(container, "env"), &text,
                            &planner->plan->kept)) {
        return out_of_memory(planner, &text);
    }
    if (!put(planner, container, &text)) {
        return false;
    }
    if (!injected_mounts(&planner->settings, &text)) {
        return out_of_memory(planner, &text);
    }
    return put(planner, container, &text);
}

static bool plan_container(struct planner *planner, struct manifest_node *container) {
    bool rewrites = settings_is(&planner->settings, SETTING_REWRITE_PROBES, "enabled") &&
                    settings_is(&planner->settings, SETTING_INTERCEPTION, "redirect");
    return check_container(planner, container) && plan_trust(planner, container) &&
           (!rewrites || probes_rewrite(&planner->plan->changes, container, &planner->probes,
                                        &planner->plan->num_probes, planner->err));
}

static bool plan_containers(struct planner *planner, const char *key) {
    const struct manifest_node *list = manifest_find(planner->spec, key);
    if (list == NULL || list->kind != MANIFEST_LIST) {
        return true;
    }
    if (list->num > CONTAINERS_MAX) {
        return ERR_SET(planner->err, ERR_INPUT, "it has more than %d containers", CONTAINERS_MAX);
    }
    for (struct manifest_node *container = list->first; container != NULL;
         container = container->next) {
        if (!plan_container(planner, container)) {
            return err_wrap(planner->err, "%s", key);
        }
    }
    return true;
}

// The agent comes before the containers that have been planned.
static bool plan_spec(struct planner *planner) {
    struct buf text = {0};
    if (!injected_init_containers(&planner->settings, &text, &planner->moved.init_containers)) {
        return out_of_memory(planner, &text);
    }
    if (!put(planner, planner->spec, &text)) {
        return false;
    }
    if (!injected_containers(&planner->settings, &text, &planner->moved.containers)) {
        return out_of_memory(planner, &text);
    }
    if (!put(planner, planner->spec, &text)) {
        return false;
    }
    if (!injected_volumes(&planner->settings, &text)) {
        return out_of_memory(planner, &text);
    }
    return put(planner, planner->spec, &text);
}

// What an ordinary container needs beside that.
static bool plan_ending(struct planner *planner) {
    struct buf text = {0};
    const struct manifest_node *annotations = manifest_at(planner->pod, "metadata/annotations");
    const struct manifest_node *containers = manifest_find(planner->spec, "containers");
    planner->added = "";
    if (settings_is(&planner->settings, SETTING_SIDECAR, "native")) {
        return true;
    }
    planner->app = manifest_text(containers->first, "name");
    bool has_default = manifest_find(annotations, MARK_DEFAULT_CONTAINER) != NULL;
    bool shares = !planner->shares_processes || manifest_find(planner->spec, MARK_SHARES) != NULL;
    planner->added = has_default ? (shares ? "" : MARK_SHARES)
                                 : (shares ? MARK_DEFAULT : MARK_DEFAULT "," MARK_SHARES);
    if (!shares && !buf_append_text(&text, MARK_SHARES ": true\n")) {
        return out_of_memory(planner, &text);
    }
    return put(planner, planner->spec, &text);
}

// --- the annotations, and the configuration in one -----------------------------------------------

static bool check_config(const struct planner *planner, const struct buf *text) {
    struct buf errors = {0};
    OWNED(config_unref)
    struct config *config = config_parse("agent.yaml", buf_span(text), &errors, NULL);
    struct span said = buf_span(&errors);
    const uint8_t *end = said.len == 0 ? NULL : memchr(said.ptr, '\n', said.len);
    size_t len = end == NULL ? said.len : (size_t)(end - said.ptr);
    bool ok = config != NULL ||
              ERR_SET(planner->err, ERR_INPUT, "the agent's configuration would not be right: %.*s",
                      (int)len, (const char *)said.ptr);
    buf_fini(&errors);
    return ok;
}

static unsigned grace_of(const struct manifest_node *spec) {
    const char *text = manifest_text(spec, "terminationGracePeriodSeconds");
    unsigned long value = text == NULL ? DEFAULT_GRACE_S : strtoul(text, NULL, 10);
    return value > 1000000 ? 1000000 : (unsigned)value;
}

// `kubectl logs` and `kubectl exec` mean the application, as they did before.
static bool render_added(const struct planner *planner, struct buf *out) {
    return *planner->added == '\0' ||
           (buf_printf(out, "  " MARK_ADDED ": \"%s\"\n", planner->added) &&
            (strstr(planner->added, MARK_DEFAULT) == NULL ||
             buf_printf(out, "  " MARK_DEFAULT_CONTAINER ": \"%s\"\n", planner->app)));
}

static bool render_annotations(const struct planner *planner, const struct buf *config,
                               const struct buf *original, struct buf *out) {
    return buf_append_text(out, "annotations:\n  " MARK_INJECTED ": \"" MARK_FORM "\"\n"
                                "  " MARK_CONFIG ": ") &&
           render_quoted(out, buf_span(config)) && buf_append_text(out, "\n") &&
           render_added(planner, out) &&
           (buf_span(original).len == 0 ||
            (buf_append_text(out, "  " MARK_ORIGINAL ": ") &&
             render_quoted(out, buf_span(original)) && buf_append_text(out, "\n")));
}

// "metadata:" around what `text` holds.
static bool wrap_in_metadata(struct buf *text) {
    struct buf inner = *text;
    *text = (struct buf){0};
    struct span rest = buf_span(&inner);
    bool ok = buf_append_text(text, "metadata:\n");
    while (ok && rest.len > 0) {
        const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
        size_t len = end == NULL ? rest.len : (size_t)(end - rest.ptr) + 1;
        ok = buf_append_text(text, "  ") && buf_append(text, rest.ptr, len);
        rest = span_after(rest, len);
    }
    buf_fini(&inner);
    return ok;
}

// Puts the pair into the pod's metadata, which may have to be made; `original` is what is replaced.
static bool put_annotations(const struct planner *planner, const struct buf *config,
                            const struct buf *original) {
    struct manifest_node *metadata = manifest_find(planner->pod, "metadata");
    bool is_there = metadata != NULL && !manifest_is_empty(metadata);
    struct buf text = {0};
    if (!render_annotations(planner, config, original, &text) ||
        (!is_there && !wrap_in_metadata(&text))) {
        return out_of_memory(planner, &text);
    }
    return put(planner, is_there ? metadata : planner->pod, &text);
}

// Annotations that are there and empty are among what is replaced: they are planned once to see
// that, and once more with it in them.
static bool plan_with_original(const struct planner *planner, const struct buf *config) {
    struct change_list *changes = &planner->plan->changes;
    size_t num = changes->num;
    struct buf original = {0};
    bool ok = put_annotations(planner, config, &original);
    if (ok && planner->plan->source.len > 0) {
        ok = original_render(changes, planner->pod, planner->plan->source, &planner->moved,
                             &original) ||
             ERR_NO_MEMORY(planner->err, "planning an injection");
        changes->num = num;
        ok = ok && put_annotations(planner, config, &original);
    }
    buf_fini(&original);
    return ok;
}

static bool plan_annotations(const struct planner *planner) {
    struct agent_config_facts facts = {.grace_s = grace_of(planner->spec),
                                       .shares_processes = planner->shares_processes,
                                       .probes = buf_span(&planner->probes)};
    struct buf config = {0};
    bool ok = (agent_config_render(&planner->settings, &facts, &config) ||
               ERR_NO_MEMORY(planner->err, "planning an injection")) &&
              check_config(planner, &config) && plan_with_original(planner, &config);
    buf_fini(&config);
    return ok;
}

bool plan_pod(struct plan *plan, struct manifest_node *pod, const struct settings *settings,
              struct err *err) {
    struct planner planner = {.plan = plan,
                              .pod = pod,
                              .spec = manifest_find(pod, "spec"),
                              .settings = *settings,
                              .err = err};
    bool ok = settings_read(&planner.settings, manifest_at(pod, "metadata/annotations"), err);
    planner.shares_processes = settings_is(&planner.settings, SETTING_SIDECAR, "container") &&
                               says(planner.spec, "restartPolicy", "Never");
    ok = ok && check_pod(&planner) && check_ending(&planner) &&
         plan_containers(&planner, "initContainers") && plan_containers(&planner, "containers") &&
         plan_spec(&planner) && plan_ending(&planner) && plan_annotations(&planner);
    buf_fini(&planner.probes);
    return ok;
}
