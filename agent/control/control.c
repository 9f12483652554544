#include "agent/control/control.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/control/control_parts_internal.h"
#include "agent/control/cpu_quota.h"
#include "agent/control/identity_source.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

static struct worker_orders *new_orders(struct control *control) {
    OWNED(worker_orders_free) struct worker_orders *orders = calloc(1, sizeof(*orders));
    if (orders == NULL) {
        return NULL;
    }
    enum identity_state state = identity_store_state(control->store, clock_wall_s());
    orders->snapshot = snapshot_new(control->config, control->context, state, control->edges,
                                    control_hosts_table(control));
    if (orders->snapshot == NULL) {
        return NULL;
    }
    snapshot_set_staples(orders->snapshot, control_staples_now(control));
    orders->listeners = listener_set_ref(
        control->accepts_nothing == NULL ? control->listeners : control->accepts_nothing);
    orders->draining = control->draining;
    return take(&orders);
}

void control_command_workers(struct control *control) {
    for (unsigned i = 0; i < control->num_workers && control->workers[i] != NULL; i++) {
        struct worker_orders *orders = new_orders(control);
        if (orders == NULL) {
            log_msg(LOG_ERROR, "no_memory", "a change could not be handed to worker %u", i);
            continue;
        }
        worker_command(control->workers[i], orders);
    }
}

static void on_signal(struct ev_loop *loop, ev_signal *signal, int events UNUSED) {
    struct control *control = signal->data;
    if (signal->signum == SIGHUP) {
        control_reload(control);
        return;
    }
    if (signal->signum == SIGUSR2) {
        control_handover_request(control);
        return;
    }
    control_quit(control);
    // Whoever presses Ctrl-C twice wants it now.
    if (signal->signum == SIGINT && ++control->interrupts > 1) {
        ev_break(loop, EVBREAK_ALL);
    }
}

// --- the start -----------------------------------------------------------------------------------

static void init_watchers(struct control *control) {
    static const int SIGNALS[] = {SIGHUP, SIGTERM, SIGINT, SIGUSR2};
    for (size_t i = 0; i < sizeof(SIGNALS) / sizeof(SIGNALS[0]); i++) {
        ev_signal_init(&control->signals[i], on_signal, SIGNALS[i]);
        control->signals[i].data = control;
        ev_signal_start(control->loop, &control->signals[i]);
    }
    control_leave_init(control);
}

static void print(const struct buf *text) {
    struct span said = buf_span(text);
    if (said.len > 0) { // an empty buffer has no memory, which fwrite must not be given
        fwrite(said.ptr, 1, said.len, stderr);
    }
}

static bool load_edges(struct control *control) {
    struct buf errors = {0};
    struct buf warnings = {0};
    struct edge_load how = {.name = control->config_path,
                            .expiry = EDGE_EXPIRY_WARNS,
                            .errors = &errors,
                            .warnings = &warnings};
    control->edges = edge_set_load(control->config, &how);
    print(&warnings);
    print(&errors);
    buf_fini(&warnings);
    buf_fini(&errors);
    return control->edges != NULL;
}

static bool load(struct control *control, struct err *err) {
    struct buf errors = {0};
    struct buf warnings = {0};
    control->config = config_load(control->config_path, &errors, &warnings);
    print(&warnings);
    print(&errors);
    buf_fini(&warnings);
    buf_fini(&errors);
    if (control->config == NULL) {
        return ERR_SET(err, ERR_INPUT, "the configuration %s has mistakes; nothing was started",
                       control->config_path);
    }
    if (!control_app_start(control, err)) {
        return false;
    }
    if (!load_edges(control)) {
        return ERR_SET(err, ERR_INPUT,
                       "the configuration names certificates that cannot be used; "
                       "nothing was started");
    }
    log_set_level(control->config->log_level);
    log_set_format(control->config->log_format);
    control->reload =
        (struct reload_view){.last_successful = true, .last_success_ms = clock_wall_ms()};
    return true;
}

static bool start_shared(struct control *control, struct err *err) {
    control->shared.destinations = destinations_new();
    control->shared.refusals = refusals_new();
    control->shared.idle = control_leave_wake;
    control->shared.arg = control;
    control->loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
    if (control->shared.destinations == NULL || control->shared.refusals == NULL ||
        control->loop == NULL) {
        return ERR_NO_MEMORY(err, "starting");
    }
    return true;
}

// Whether the redirect rules of this configuration leave our own connections alone.
static bool is_excluded(const struct config_intercept *intercept) {
    if (intercept->num_app_uids == 0) {
        return geteuid() == intercept->uid;
    }
    for (size_t i = 0; i < intercept->num_app_uids; i++) {
        if (intercept->app_uids[i] == geteuid()) {
            return geteuid() == intercept->uid;
        }
    }
    return true;
}

// Decided once: the uid does not change, and a reload that changes intercept.uid changes no rule.
static void look_for_loops(struct control *control) {
    const struct config_intercept *intercept = &control->config->intercept;
    control->shared.may_loop = control->config->outbound.listen.num > 0 && !is_excluded(intercept);
    if (control->shared.may_loop) {
        log_msg(LOG_WARN, "uid_differs",
                "this process has uid %u but intercept.uid is %u: `pavise intercept up` would "
                "redirect our own connections; such loops are refused",
                geteuid(), intercept->uid);
    }
}

static bool start_workers(struct control *control, struct err *err) {
    control->workers = calloc(control->num_workers, sizeof(*control->workers));
    if (control->workers == NULL) {
        return ERR_NO_MEMORY(err, "starting");
    }
    fd_budget_init(&control->shared.fds);
    look_for_loops(control);
    for (unsigned i = 0; i < control->num_workers; i++) {
        struct worker_orders *orders = new_orders(control);
        if (orders == NULL) {
            return ERR_NO_MEMORY(err, "starting");
        }
        control->workers[i] = worker_start(i, control->num_workers, &control->shared, orders, err);
        if (control->workers[i] == NULL) {
            return false;
        }
    }
    return true;
}

static bool start(struct control *control, const struct control_start *how, struct err *err) {
    if (!load(control, err) || !start_shared(control, err) ||
        !control_handover_start(control, how->launcher, err) ||
        !control_sockets_collect(control, how->take_over, err)) {
        return false;
    }
    control_notify_start(control);
    control_app_arm(control);
    init_watchers(control);
    control->num_workers =
        control->config->workers == 0 ? cpu_quota_workers() : control->config->workers;
    control->listeners = listener_set_new(control->config,
                                          &(struct listener_needs){.workers = control->num_workers,
                                                                   .inbound = true,
                                                                   .handed = control->handed},
                                          err);
    return control->listeners != NULL && control_status_start(control, err) &&
           control_sockets_settle(control, err) && control_state_start(control, err) &&
           control_sandbox_start(control, err) && control_hosts_start(control, err) &&
           control_audit_start(control, err) && control_staples_start(control, err) &&
           control_trust_start(control, err) && control_identity_start(control, err) &&
           start_workers(control, err);
}

// From here on this process serves, or waits until it may.
static void open_up(struct control *control) {
    if (control->successor != NULL) {
        control_successor_wait(control);
    } else {
        control_handover_offer(control, -1);
    }
}

struct control *control_new(const struct control_start *how, struct err *err) {
    OWNED(control_free) struct control *control = calloc(1, sizeof(*control));
    if (control == NULL) {
        ERR_NO_MEMORY(err, "starting");
        return NULL;
    }
    control->notify.fd = -1;
    control->config_path = strdup(how->config_path);
    if (!start(control, how, err)) {
        return NULL;
    }
    open_up(control);
    return take(&control);
}

int control_run(struct control *control) {
    struct log_line line;
    log_begin(&line, LOG_INFO, "started");
    log_text(&line, "config", control->config_path);
    log_text(&line, "identity", identity_source_name(control->config->identity.source));
    log_text(&line, "source", identity_source_place(&control->config->identity));
    log_u64(&line, "workers", control->num_workers);
    log_u64(&line, "listeners", control->listeners->num);
    log_i64(&line, "pid", getpid());
    log_end(&line);
    ev_run(control->loop, 0);
    log_msg(LOG_INFO, "stopped", "%lld connections were open",
            (long long)atomic_load(&control->shared.num_conns));
    return control->exit_code;
}

void control_free(struct control *control) {
    if (control == NULL) {
        return;
    }
    for (unsigned i = 0; control->workers != NULL && i < control->num_workers; i++) {
        worker_ask_to_stop(control->workers[i]);
    }
    for (unsigned i = 0; control->workers != NULL && i < control->num_workers; i++) {
        worker_stop(control->workers[i]);
    }
    free(control->workers);
    control_audit_stop(control);
    control_hosts_free(control->hosts);
    control_staples_free(control->staples);
    control_successor_stop(control);
    control_handover_stop(control);
    control_app_stop(control);
    control_trust_stop(control);
    control_identity_stop(control);
    control_state_stop(control);
    status_server_free(control->status);
    listener_set_unref(control->listeners);
    handed_free(control->handed);
    notify_fini(&control->notify);
    destinations_free(control->shared.destinations);
    refusals_free(control->shared.refusals);
    control_expiry_stop(control);
    edge_set_unref(control->edges);
    config_unref(control->config);
    if (control->loop != NULL) {
        ev_loop_destroy(control->loop);
    }
    sandbox_free(control->sandbox);
    free(control->config_path);
    free(control);
}
