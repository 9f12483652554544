// What the status port may see and do.
#include <stdio.h>
#include <string.h>

#include "agent/control/control_parts_internal.h"
#include "agent/edge/edge_inventory.h"
#include "agent/names/host_table.h"
#include "base/clock.h"
#include "base/text.h"

#define COLLECT_MS 500
#define ALIVE_MS 5000 // a loop turns at least once a second

static void collect(void *arg, unsigned parts, struct view *out) {
    struct control *control = arg;
    unsigned of_workers = parts & (VIEW_CONNECTIONS | VIEW_TUNNELS);
    for (unsigned i = 0; of_workers != 0 && i < control->num_workers; i++) {
        if (!worker_collect(control->workers[i], of_workers, out, COLLECT_MS)) {
            out->workers_missing++;
        }
    }
    if ((parts & VIEW_LISTENERS) != 0) {
        listener_set_render(control->listeners, control->config, out);
    }
    if ((parts & VIEW_DESTINATIONS) != 0) {
        destinations_render(control->shared.destinations, out, clock_wall_ms());
        host_table_render(control_hosts_table(control), out);
    }
    if ((parts & VIEW_REFUSALS) != 0) {
        refusals_render(control->shared.refusals, out);
    }
    if ((parts & VIEW_CERTIFICATES) != 0) {
        (void)!edge_inventory_render(control->edges, out); // without memory, those that fit
        staple_table_render(control_staples_table(control), out);
    }
}

static void sum_counters(void *arg, struct counter_sums *out) {
    struct control *control = arg;
    for (unsigned i = 0; i < control->num_workers; i++) {
        counters_sum(out, &control->workers[i]->counters);
    }
    const struct host_table *hosts = control_hosts_table(control);
    out->metrics[METRIC_HOST_FOUND] += hosts == NULL ? 0 : hosts->num_found;
    out->metrics[METRIC_HOST_ABSENT] += hosts == NULL ? 0 : hosts->num_absent;
    out->metrics[METRIC_HOST_FAILED] += hosts == NULL ? 0 : hosts->num_failed;
    const struct staple_table *staples = control_staples_table(control);
    out->metrics[METRIC_OCSP_GOOD] += staples->num_answers[OCSP_GOOD];
    out->metrics[METRIC_OCSP_REVOKED] += staples->num_answers[OCSP_REVOKED];
    out->metrics[METRIC_OCSP_UNKNOWN] += staples->num_answers[OCSP_UNKNOWN];
    out->metrics[METRIC_OCSP_FAILED] += staples->num_failed;
}

static void view_identity(void *arg, struct identity_view *out) {
    struct control *control = arg;
    out->state = identity_store_state(control->store, clock_wall_s());
    out->identity = control->last_identity == NULL ? NULL : identity_ref(control->last_identity);
    out->counts = identity_store_counts(control->store);
    text_copy(out->last_refusal, sizeof(out->last_refusal),
              identity_store_last_refusal(control->store));
    out->source_kind = control->intake == NULL ? "none" : control->intake->source->ops->kind;
    out->source = control->report;
    out->last_change_ms = control->identity_changed_at_ms;
    out->kept_until = kept_bundles_filled_until(control->kept.bundles);
}

static void view_reload(void *arg, struct reload_view *out) {
    *out = ((struct control *)arg)->reload;
}

static void say_identity(struct control *control, struct readiness *out) {
    enum identity_state state = identity_store_state(control->store, clock_wall_s());
    const char *error = control->report.last_error;
    out->check = "identity";
    out->ready = state == IDENTITY_VALID && control->context != NULL;
    if (!out->ready) {
        snprintf(out->pending, sizeof(out->pending), "identity is %s: %s",
                 identity_state_name(state),
                 error[0] != '\0' ? error : "waiting for the identity source");
    }
}

static void say_trust(const struct control *control, struct readiness *out) {
    const char *error = control_trust_error(control);
    out->check = "trust";
    out->ready = control_trust_is_written(control);
    if (!out->ready) {
        snprintf(out->pending, sizeof(out->pending), "the trust store is not written yet%s%s",
                 error[0] == '\0' ? "" : ": ", error);
    }
}

static void view_trust(void *arg, struct trust_view *out) {
    control_trust_view(arg, out);
}

size_t control_readiness(struct control *control, struct readiness out[READINESS_MAX]) {
    memset(out, 0, sizeof(*out) * READINESS_MAX);
    out[0].check = "listeners"; // an agent that could not bind has not started
    out[0].ready = true;
    say_identity(control, &out[1]);
    out[2].check = "drain";
    out[2].ready = !control->draining || control->has_successor; // which serves in our place
    if (!out[2].ready) {
        snprintf(out[2].pending, sizeof(out[2].pending), "draining: no new inbound connections");
    }
    say_trust(control, &out[3]);
    return 4;
}

static size_t readiness(void *arg, struct readiness out[READINESS_MAX]) {
    return control_readiness(arg, out);
}

bool control_is_alive(const struct control *control, char *why, size_t why_len) {
    int64_t now = clock_mono_ms();
    for (unsigned i = 0; i < control->num_workers; i++) {
        int64_t last = atomic_load(&control->workers[i]->last_turn_ms);
        if (now - last > ALIVE_MS) {
            snprintf(why, why_len, "the loop of worker %u has not turned for %lld ms", i,
                     (long long)(now - last));
            return false;
        }
    }
    return true;
}

static bool is_alive(void *arg, char *why, size_t why_len) {
    return control_is_alive(arg, why, why_len);
}

static const struct config *config_of(void *arg) {
    return ((struct control *)arg)->config;
}

static void view_audit(void *arg, struct audit_view *out) {
    audit_look(((struct control *)arg)->shared.audit, out);
}

static size_t view_sandbox(void *arg, struct sandbox_view out[SANDBOX_VIEW_MAX]) {
    const struct sandbox *sandbox = ((struct control *)arg)->sandbox;
    for (int i = 0; i < SANDBOX_LAYERS; i++) {
        out[i].layer = sandbox_layer_name(i);
        out[i].is_on = sandbox != NULL && sandbox->layers[i].is_on;
    }
    return SANDBOX_LAYERS;
}

static bool rotate(void *arg, struct err *err) {
    struct control *control = arg;
    if (control->intake == NULL) {
        return ERR_SET(err, ERR_ENVIRONMENT, "there is no identity source");
    }
    source_refresh(control->intake->source);
    return true;
}

static void drain(void *arg) {
    control_drain(arg);
}

static void quit(void *arg) {
    control_quit(arg);
}

static bool forget(void *arg, const struct netaddr *address) {
    return destinations_forget(((struct control *)arg)->shared.destinations, address);
}

bool control_status_start(struct control *control, struct err *err) {
    control->backend = (struct status_backend){
        .arg = control,
        .collect = collect,
        .sum_counters = sum_counters,
        .identity = view_identity,
        .reload = view_reload,
        .trust = view_trust,
        .audit = view_audit,
        .readiness = readiness,
        .is_alive = is_alive,
        .config = config_of,
        .sandbox = view_sandbox,
        .rotate = rotate,
        .drain = drain,
        .quit = quit,
        .forget = forget,
    };
    control->status =
        status_server_new(control->loop, control->config, &control->backend, control->handed, err);
    return control->status != NULL;
}
