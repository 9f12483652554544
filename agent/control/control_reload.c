// SIGHUP: all or nothing. The new configuration is checked and its sockets are bound before
// anything changes; with any mistake the old one goes on.
#include <string.h>

#include "agent/control/control_parts_internal.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

static void log_lines(enum log_level level, const char *event, struct span text) {
    while (text.len > 0) {
        const uint8_t *end = memchr(text.ptr, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.ptr);
        log_msg(level, event, "%.*s", (int)len, (const char *)text.ptr);
        text = span_after(text, end == NULL ? len : len + 1);
    }
}

static void refuse(struct control *control, struct span why) {
    control->reload.last_successful = false;
    size_t len = why.len < sizeof(control->reload.last_error) - 1
                     ? why.len
                     : sizeof(control->reload.last_error) - 1;
    memcpy(control->reload.last_error, why.ptr, len);
    control->reload.last_error[len] = '\0';
    log_lines(LOG_ERROR, "reload_refused", why);
}

// What a reload changes.
struct next {
    struct config *config;
    struct edge_set *edges;
    struct listener_set *listeners;
    struct control_hosts *hosts;
    struct control_staples *staples;
    struct tls_context *context; // NULL without an identity
};

static void next_free(struct next *next) {
    tls_context_unref(next->context);
    control_hosts_free(next->hosts);
    control_staples_free(next->staples);
    listener_set_unref(next->listeners);
    edge_set_unref(next->edges);
    config_unref(next->config);
}

static bool prepare_context(const struct control *control, struct next *next, struct err *err) {
    if (control->context == NULL) {
        return true;
    }
    struct identity *identity = tls_context_identity(control->context);
    next->context = control_identity_context(identity, next->config, err);
    return next->context != NULL;
}

// The status port's listeners change before the source does: a source that cannot start takes them
// back.
static bool prepare_ports_and_source(struct control *control, struct next *next, struct err *err) {
    if (!status_server_reconfigure(control->status, next->config, err)) {
        return false;
    }
    if (control_identity_reload(control, next->config, err)) {
        return true;
    }
    struct err again = {0};
    if (!status_server_reconfigure(control->status, control->config, &again)) {
        log_msg(LOG_ERROR, "reload_refused", "the status port could not be taken back: %s",
                again.msg);
    }
    return false;
}

// Everything that can fail.
static bool prepare(struct control *control, struct next *next, struct err *err) {
    next->listeners = listener_set_new(next->config,
                                       &(struct listener_needs){.workers = control->num_workers,
                                                                .inbound = true,
                                                                .old = control->listeners},
                                       err);
    next->hosts = control_hosts_prepare(control, next->config, err);
    next->staples = control_staples_prepare(control, next->edges, err);
    return next->listeners != NULL && next->hosts != NULL && next->staples != NULL &&
           prepare_context(control, next, err) && control_state_check(next->config, err) &&
           prepare_ports_and_source(control, next, err);
}

static void swap(struct control *control, struct next *next) {
    struct next old = {
        .config = control->config,
        .edges = control->edges,
        .listeners = control->listeners,
        .context = control->context,
    };
    control->config = next->config;
    control->edges = next->edges;
    control->listeners = next->listeners;
    control->context = next->context;
    control_hosts_swap(control, &next->hosts);
    old.hosts = next->hosts;
    control_staples_swap(control, &next->staples);
    old.staples = next->staples;
    *next = old;
}

// What the sandbox does not admit is said as that: as a file it would only be one that cannot be
// opened.
static void load_config(const struct control *control, struct next *next, struct buf *errors,
                        struct buf *warnings) {
    struct err err = {0};
    struct config *config = NULL;
    if (control_sandbox_admits(control, NULL, &err)) {
        config = config_load(control->config_path, errors, warnings);
    }
    if (config != NULL && control_sandbox_admits(control, config, &err) &&
        control_app_admits(control, config, &err)) {
        next->config = take(&config);
    }
    config_unref(config);
    (void)!buf_append_text(errors, err.msg);
}

static void load_edges(const struct control *control, struct next *next, struct buf *errors,
                       struct buf *warnings) {
    struct edge_load how = {.name = control->config_path,
                            .before = control->edges,
                            .expiry = EDGE_EXPIRY_REFUSES,
                            .errors = errors,
                            .warnings = warnings};
    next->edges = next->config == NULL ? NULL : edge_set_load(next->config, &how);
}

// A service manager of Type=notify-reload waits for this, and believes it only when it is not from
// before its signal, by microseconds; and then for READY.
static void say_reloading(const struct control *control) {
    notify_send(&control->notify, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono_us());
}

// Nothing of this can fail.
static void put_in_force(struct control *control, struct next *next) {
    swap(control, next);
    control_state_reload(control);
    control_handover_offer(control, -1);
    control_trust_reload(control);
    control_audit_reload(control);
    log_set_level(control->config->log_level);
    log_set_format(control->config->log_format);
    control->reload =
        (struct reload_view){.last_successful = true, .last_success_ms = clock_wall_ms()};
    control_command_workers(control);
    control_sockets_say(control);
    log_msg(LOG_INFO, "reload_done", "%s", control->config_path);
}

static void reload(struct control *control) {
    struct buf errors = {0};
    struct buf warnings = {0};
    struct next next = {0};
    struct err err = {0};
    load_config(control, &next, &errors, &warnings);
    load_edges(control, &next, &errors, &warnings);
    log_lines(LOG_WARN, "configuration", buf_span(&warnings));
    if (next.edges == NULL) {
        refuse(control, buf_span(&errors));
    } else if (!prepare(control, &next, &err)) {
        refuse(control, span_of_text(err.msg));
    } else {
        put_in_force(control, &next);
    }
    next_free(&next);
    buf_fini(&errors);
    buf_fini(&warnings);
}

void control_reload(struct control *control) {
    if (control->draining) {
        log_msg(LOG_WARN, "reload_refused", "the sidecar is draining");
        if (!control->leaving) {
            say_reloading(control);
            notify_send(&control->notify, "READY=1");
        }
        return;
    }
    say_reloading(control);
    if (control_handover_is_under_way(control)) {
        control->reload_waits = true;
        log_msg(LOG_WARN, "reload_delayed",
                "a successor is starting; this process reloads if that one does not take over");
        return;
    }
    control->reload_waits = false;
    reload(control);
    notify_send(&control->notify, "READY=1");
}
