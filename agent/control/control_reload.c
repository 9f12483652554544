// SIGHUP: all or nothing. The new configuration is checked and its sockets are bound before
// anything changes; with any mistake the old one goes on.
#include <stdio.h>
#include <string.h>

#include "agent/control/control_internal.h"
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

// Everything that can fail. Outputs are owned by the caller.
static bool prepare(struct control *control, struct config *config, struct listener_set **listeners,
                    struct err *err) {
    *listeners = listener_set_new(config, control->num_workers, true, control->listeners, err);
    return *listeners != NULL && status_server_reconfigure(control->status, config, err) &&
           control_identity_reload(control, config, err);
}

void control_reload(struct control *control) {
    if (control->draining) {
        log_msg(LOG_WARN, "reload_refused", "the sidecar is draining");
        return;
    }
    struct buf errors = {0};
    struct buf warnings = {0};
    struct config *config = config_load(control->config_path, &errors, &warnings);
    struct listener_set *listeners = NULL;
    struct err err = {0};
    log_lines(LOG_WARN, "configuration", buf_span(&warnings));
    if (config == NULL) {
        refuse(control, buf_span(&errors));
    } else if (!prepare(control, config, &listeners, &err)) {
        refuse(control, span_of_text(err.msg));
        listener_set_unref(listeners);
        config_unref(config);
    } else {
        config_unref(control->config);
        control->config = config;
        listener_set_unref(control->listeners);
        control->listeners = listeners;
        log_set_level(config->log_level);
        log_set_format(config->log_format);
        control->reload =
            (struct reload_view){.last_successful = true, .last_success_ms = clock_wall_ms()};
        control_command_workers(control, false);
        log_msg(LOG_INFO, "reload_done", "%s", control->config_path);
    }
    buf_fini(&errors);
    buf_fini(&warnings);
}
