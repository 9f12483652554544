// What the service manager hears: READY once, STATUS whenever it is another, signs of life.
#include <stdio.h>
#include <string.h>

#include "agent/control/control_parts_internal.h"
#include "base/log.h"
#include "base/text.h"

// The service runs without it as well, only unwatched.
void control_notify_start(struct control *control) {
    struct err err = {0};
    if (!notify_init(&control->notify, &err)) {
        log_msg(LOG_WARN, "notify", "%s", err.msg);
    }
}

// What is waited for; "" when nothing is.
static void pending(struct control *control, char *out, size_t len) {
    struct readiness checks[READINESS_MAX];
    size_t num = control_readiness(control, checks);
    out[0] = '\0';
    for (size_t i = 0; i < num; i++) {
        if (!checks[i].ready) {
            text_copy(out, len, checks[i].pending);
            return;
        }
    }
}

static void say_status(struct control *control, const char *waits) {
    char text[sizeof(control->said_status)];
    if (waits[0] != '\0') {
        text_copy(text, sizeof(text), waits);
    } else {
        snprintf(text, sizeof(text), "ready as %.480s",
                 svid_id(identity_svid(control->last_identity))->text);
    }
    for (char *at = text; *at != '\0'; at++) {
        *at = (unsigned char)*at < ' ' ? ' ' : *at; // one line: an error's text is from elsewhere
    }
    if (strcmp(text, control->said_status) != 0) {
        memcpy(control->said_status, text, sizeof(text));
        notify_send(&control->notify, "STATUS=%s", text);
    }
}

void control_notify_tick(struct control *control) {
    struct readiness checks[READINESS_MAX];
    char waits[sizeof(checks[0].pending)];
    if (control->notify.fd < 0 || !control_successor_is_known(control) ||
        control->accepts_nothing != NULL || control->has_successor) {
        return; // another process of this agent speaks for it
    }
    pending(control, waits, sizeof(waits));
    say_status(control, waits);
    if (waits[0] == '\0' && !control->said_ready) {
        control->said_ready = true;
        notify_send(&control->notify, "READY=1");
    }
    if (control->notify.wants_watchdog && control_is_alive(control, waits, sizeof(waits))) {
        notify_send(&control->notify, "WATCHDOG=1");
    }
}
