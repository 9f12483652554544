// A warning before a certificate that the configuration names expires: one a day for each.
#include <string.h>

#include "agent/control/control_parts_internal.h"
#include "agent/edge/edge_inventory.h"
#include "base/clock.h"
#include "base/log.h"

#define DAY_S INT64_C(86400)

static bool was_said(const struct view *said, const struct certificate_view *cert) {
    for (size_t i = 0; i < said->num_certificates; i++) {
        const struct certificate_view *row = &said->certificates[i];
        if (row->not_after == cert->not_after && strcmp(row->path, cert->path) == 0 &&
            strcmp(row->logical_name, cert->logical_name) == 0) {
            return true;
        }
    }
    return false;
}

static void say(const struct certificate_view *cert, int64_t left_s) {
    char when[CLOCK_TEXT_MAX];
    struct log_line line;
    clock_format(cert->not_after * 1000, false, when);
    log_begin(&line, LOG_WARN, left_s > 0 ? "certificate_expires" : "certificate_expired");
    log_text(&line, "name", cert->logical_name);
    log_text(&line, "path", cert->path);
    log_text(&line, "not_after", when);
    log_i64(&line, "days_left", left_s / DAY_S);
    log_end(&line);
}

// What is said is kept, so that a reload on the same day does not say it again.
static void check(struct control *control, int64_t now_s) {
    int64_t threshold_s = control->config->status.expiry_alert_days * DAY_S;
    struct view all = {0};
    (void)!edge_inventory_render(control->edges, &all);
    for (size_t i = 0; threshold_s > 0 && i < all.num_certificates; i++) {
        const struct certificate_view *cert = &all.certificates[i];
        if (cert->not_after - now_s >= threshold_s || was_said(&control->expiry.said, cert)) {
            continue;
        }
        struct certificate_view *kept = view_add_certificate(&control->expiry.said);
        say(cert, cert->not_after - now_s);
        if (kept != NULL) {
            *kept = *cert;
        }
    }
    view_fini(&all);
}

void control_expiry_tick(struct control *control, int64_t now_s) {
    struct control_expiry *expiry = &control->expiry;
    int64_t day = now_s / DAY_S;
    if (expiry->day == day && expiry->edges == control->edges) {
        return;
    }
    if (expiry->day != day) {
        view_fini(&expiry->said);
    }
    expiry->day = day;
    edge_set_unref(expiry->edges);
    expiry->edges = edge_set_ref(control->edges);
    check(control, now_s);
}

void control_expiry_stop(struct control *control) {
    view_fini(&control->expiry.said);
    edge_set_unref(control->expiry.edges);
}
