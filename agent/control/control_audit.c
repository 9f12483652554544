// The audit's place in the agent: it goes where the configuration says, and what becomes of it is
// said in the log: the collector was reached, is gone, was given up, records were dropped.
#include <inttypes.h>

#include "agent/control/control_parts_internal.h"
#include "base/clock.h"
#include "base/log.h"

#define DROPPED_EVERY_MS 60000 // at most; the first is said at once
#define HOLDS_MS 10000         // a connection after a failure, before its end is one

static void log_collector(enum log_level level, const char *event, const struct audit_view *now) {
    struct log_line line;
    log_begin(&line, level, event);
    log_text(&line, "address", now->address);
    log_text(&line, "detail", now->last_error[0] == '\0' ? NULL : now->last_error);
    log_end(&line);
}

// Of a collector that does not answer one line is enough; also of one that takes connections and
// closes them.
static void say_connection(struct control_audit *audit, const struct audit_view *now) {
    int64_t now_ms = clock_mono_ms();
    if (!now->is_connected) {
        audit->unsaid_ms = 0;
    } else if (now->num_connected > audit->said.num_connected) {
        audit->unsaid_ms = now_ms;
    }
    if (audit->unsaid_ms != 0 && (!audit->said_failure || now_ms - audit->unsaid_ms >= HOLDS_MS)) {
        log_msg(LOG_INFO, "audit_connected", "the audit goes to %s", now->address);
        audit->said_failure = false;
        audit->unsaid_ms = 0;
    }
    if (now->has_given_up && !audit->said.has_given_up) {
        log_collector(LOG_ERROR, "audit_given_up", now);
    } else if (!now->is_connected && now->last_error[0] != '\0' && !audit->said_failure) {
        log_collector(LOG_WARN, "audit_unreachable", now);
        audit->said_failure = true;
    }
}

static void say_dropped(struct control_audit *audit, const struct audit_view *now) {
    int64_t now_ms = clock_mono_ms();
    uint64_t num = now->num_dropped - audit->num_said_dropped;
    if (num > 0 && (audit->dropped_ms == 0 || now_ms - audit->dropped_ms >= DROPPED_EVERY_MS)) {
        log_msg(LOG_WARN, "audit_dropped", "%" PRIu64 " records had no room or no collector", num);
        audit->num_said_dropped = now->num_dropped;
        audit->dropped_ms = now_ms;
    }
}

static void look(struct control *control) {
    struct audit_view now;
    audit_look(control->shared.audit, &now);
    say_connection(&control->audit, &now);
    say_dropped(&control->audit, &now);
    control->audit.said = now;
}

static void on_wake(struct ev_loop *loop UNUSED, ev_async *async, int events UNUSED) {
    look(async->data);
}

static void wake(void *arg) {
    struct control *control = arg;
    ev_async_send(control->loop, &control->audit.wake);
}

bool control_audit_start(struct control *control, struct err *err) {
    ev_async_init(&control->audit.wake, on_wake);
    control->audit.wake.data = control;
    ev_async_start(control->loop, &control->audit.wake);
    control->shared.audit = audit_new(wake, control);
    if (control->shared.audit == NULL) {
        return ERR_NO_MEMORY(err, "starting the audit");
    }
    return audit_configure(control->shared.audit, &control->config->status.audit, err);
}

void control_audit_reload(struct control *control) {
    struct err err = {0};
    if (!audit_configure(control->shared.audit, &control->config->status.audit, &err)) {
        log_msg(LOG_ERROR, "audit_unreachable", "%s", err.msg);
    }
}

void control_audit_tick(struct control *control) {
    if (audit_is_on(control->shared.audit)) {
        look(control);
    }
}

void control_audit_stop(struct control *control) {
    audit_free(take(&control->shared.audit));
}
