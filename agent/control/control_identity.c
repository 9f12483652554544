// From the identity source to the workers: updates are validated, become a TLS context and a
// snapshot. One log line per outcome.
#include <stdlib.h>
#include <string.h>

#include "agent/control/control_parts_internal.h"
#include "agent/control/footprint.h"
#include "agent/control/identity_source.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

#define ASK_AGAIN_TICKS 10
#define TRIM_AFTER_S 0.1
#define SETTLE_EVERY_S 10
#define SETTLE_MS 1000

static void log_identity(const struct identity *identity, const struct identity_store *store) {
    struct svid *svid = identity_svid(identity);
    char until[CLOCK_TEXT_MAX];
    clock_format(svid_not_after(svid) * 1000, false, until);
    struct log_line line;
    log_begin(&line, LOG_INFO, "identity_changed");
    log_text(&line, "spiffe_id", svid_id(svid)->text);
    log_text(&line, "serial", svid_serial(svid));
    log_text(&line, "not_after", until);
    log_u64(&line, "generation", identity_generation(identity));
    log_u64(&line, "rotations", identity_store_counts(store).rotations);
    log_end(&line);
}

static void log_problem(const char *event, const char *detail) {
    struct log_line line;
    log_begin(&line, LOG_WARN, event);
    log_text(&line, "detail", detail);
    log_end(&line);
}

// With what goes on in spite of it.
static void log_refused(const struct control *control, const char *why) {
    char until[CLOCK_TEXT_MAX] = "none";
    if (control->last_identity != NULL) {
        clock_format(svid_not_after(identity_svid(control->last_identity)) * 1000, false, until);
    }
    struct log_line line;
    log_begin(&line, LOG_WARN, "identity_refused");
    log_text(&line, "in_force_until", until);
    log_text(&line, "detail", why);
    log_end(&line);
}

struct tls_context *control_identity_context(struct identity *identity, const struct config *config,
                                             struct err *err) {
    struct buf policy = {0};
    struct tls_context *context = NULL;
    if (config_render_json(config, &policy)) {
        context = tls_context_new(identity, buf_span(&policy), err);
    } else {
        ERR_NO_MEMORY(err, "preparing TLS");
    }
    buf_fini(&policy);
    return context;
}

// "Ready" is said of every worker: who hears it and connects must not meet one that is without an
// identity still.
static void settle_workers(const struct control *control) {
    for (unsigned i = 0; control->workers != NULL && i < control->num_workers; i++) {
        if (control->workers[i] != NULL && !worker_settle(control->workers[i], SETTLE_MS)) {
            log_msg(LOG_WARN, "slow_worker", "worker %u has not taken the identity within %d ms", i,
                    SETTLE_MS);
        }
    }
}

static void use_identity(struct control *control, struct identity *identity) {
    struct err err = {0};
    struct tls_context *context = control_identity_context(identity, control->config, &err);
    if (context == NULL) {
        log_refused(control, err.msg);
        return;
    }
    bool is_first = control->context == NULL;
    tls_context_unref(control->context);
    control->context = context;
    identity_unref(control->last_identity);
    control->last_identity = identity_ref(identity);
    if (control->identity_changed_at_ms == 0) {
        ev_timer_start(control->loop, &control->trim);
    }
    control->identity_changed_at_ms = clock_wall_ms();
    control->said_expired = false;
    log_identity(identity, control->store);
    control_command_workers(control);
    if (is_first) {
        settle_workers(control);
    }
    control_trust_identity(control);
    control_notify_tick(control);
}

static void on_trim(struct ev_loop *loop UNUSED, ev_timer *timer UNUSED, int events UNUSED) {
    footprint_trim();
}

static void on_settle(struct ev_loop *loop UNUSED, ev_timer *timer UNUSED, int events UNUSED) {
    footprint_settle();
}

static void drop_identity(struct control *control) {
    tls_context_unref(take(&control->context));
    identity_unref(take(&control->last_identity));
    control->identity_changed_at_ms = clock_wall_ms();
    log_problem("identity_withdrawn", "the identity source says that there is no identity for this "
                                      "process (any more); connections are refused");
    control_command_workers(control);
    control_trust_identity(control);
}

static void withdraw(struct control *control) {
    if (control->last_identity != NULL) {
        drop_identity(control);
    } else {
        control_command_workers(control);
    }
}

// What verifies peers was kept and is too old by now, and there is nothing else: with it goes the
// identity, since it may be used with nothing.
static void drop_without_bundle(struct control *control, struct update *update, int64_t now) {
    bool has_bundle = update->num_svids == 0 || update->svids[0].bundle.len > 0;
    if (!update->takes_kept || has_bundle || control->last_identity == NULL) {
        return;
    }
    update->withdrawn = true;
    if (identity_store_apply(control->store, update, now, NULL) == IDENTITY_GONE) {
        drop_identity(control);
    }
}

static void apply(struct control *control, struct update *update) {
    int64_t now = clock_wall_s();
    struct err err = {0};
    control_state_fill(control, update);
    switch (identity_store_apply(control->store, update, now, &err)) {
    case IDENTITY_CHANGED:
        control_state_record(control, update);
        use_identity(control, identity_store_current(control->store, now));
        break;
    case IDENTITY_UNCHANGED:
        control_state_record(control, update);
        break;
    case IDENTITY_REFUSED:
        log_refused(control, err.msg);
        drop_without_bundle(control, update, now);
        break;
    case IDENTITY_GONE:
        withdraw(control);
        break;
    }
}

static void take_report(struct control *control) {
    struct source_report *report = mailbox_take(&control->intake->sink.reports);
    if (report == NULL) {
        return;
    }
    bool said = strcmp(report->last_error, control->report.last_error) == 0;
    bool same_state = report->state == control->report.state;
    control->report = *report;
    if (report->last_error[0] != '\0' && (!said || !same_state)) {
        struct log_line line;
        log_begin(&line, LOG_WARN, "identity_source");
        log_text(&line, "state", source_state_name(report->state));
        log_text(&line, "detail", report->last_error);
        log_end(&line);
    } else if (!same_state && report->state == SOURCE_CONNECTED) {
        log_msg(LOG_INFO, "identity_source", "connected");
    }
    free(report);
}

static void on_source(struct ev_loop *loop UNUSED, ev_async *async, int events UNUSED) {
    struct control *control = async->data;
    if (control->intake == NULL) {
        return; // the start failed half-way
    }
    take_report(control);
    OWNED(update_free) struct update *update = mailbox_take(&control->intake->sink.updates);
    if (update != NULL) {
        apply(control, update);
    }
}

static void wake(void *arg) {
    struct control *control = arg;
    ev_async_send(control->loop, &control->source_wake);
}

// What was refused as expired or not valid yet may be right by now, since the clock may have been
// set; a source that is content with what it sent sends nothing by itself.
static void ask_again(struct control *control, enum identity_state state) {
    bool waits = state != IDENTITY_VALID && identity_store_last_refusal(control->store)[0] != '\0';
    control->refused_ticks = waits ? control->refused_ticks + 1 : 0;
    if (control->refused_ticks >= ASK_AGAIN_TICKS) {
        control->refused_ticks = 0;
        source_refresh(control->intake->source);
    }
}

// Expiry is seen by the wall clock; the workers check by themselves, this only says so once.
static void on_tick(struct ev_loop *loop UNUSED, ev_timer *timer, int events UNUSED) {
    struct control *control = timer->data;
    int64_t now = clock_wall_s();
    control_state_tick(control);
    control_audit_tick(control);
    control_notify_tick(control);
    control_expiry_tick(control, now);
    control_staples_tick(control, now);
    enum identity_state state = identity_store_state(control->store, now);
    ask_again(control, state);
    if (!control->said_expired && state == IDENTITY_EXPIRED) {
        control->said_expired = true;
        log_problem("identity_expired", "our certificate has expired and the identity source has "
                                        "sent no other; new connections are refused");
    }
}

static void intake_free(struct intake *intake) {
    if (intake == NULL) {
        return;
    }
    source_free(intake->source);
    update_free(mailbox_take(&intake->sink.updates));
    free(mailbox_take(&intake->sink.reports));
    free(intake);
}
OWN_DEFINE(struct intake, intake_free)

static struct intake *intake_start(struct control *control, const struct config_identity *identity,
                                   struct err *err) {
    OWNED(intake_free) struct intake *intake = calloc(1, sizeof(*intake));
    if (intake == NULL) {
        ERR_NO_MEMORY(err, "starting the identity source");
        return NULL;
    }
    intake->sink.wake = wake;
    intake->sink.arg = control;
    intake->source = identity_source_start(identity, &intake->sink, err);
    return intake->source == NULL ? NULL : take(&intake);
}

bool control_identity_start(struct control *control, struct err *err) {
    const struct config_identity *identity = &control->config->identity;
    control->store = identity_store_new(
        (struct identity_choice){.spiffe_id = identity->spiffe_id, .hint = identity->hint});
    if (control->store == NULL) {
        return ERR_NO_MEMORY(err, "starting");
    }
    ev_async_init(&control->source_wake, on_source);
    control->source_wake.data = control;
    ev_async_start(control->loop, &control->source_wake);
    ev_timer_init(&control->expiry_tick, on_tick, 1, 1);
    control->expiry_tick.data = control;
    ev_timer_init(&control->trim, on_trim, TRIM_AFTER_S, 0);
    ev_timer_init(&control->settle, on_settle, SETTLE_EVERY_S, SETTLE_EVERY_S);
    ev_timer_start(control->loop, &control->settle);
    ev_timer_start(control->loop, &control->expiry_tick);
    control->intake = intake_start(control, identity, err);
    return control->intake != NULL;
}

bool control_identity_reload(struct control *control, const struct config *config,
                             struct err *err) {
    const struct config_identity *new = &config->identity;
    if (identity_source_is_same(&control->config->identity, new)) {
        return true;
    }
    OWNED(intake_free) struct intake *intake = intake_start(control, new, err);
    if (intake == NULL ||
        !identity_store_choose(
            control->store,
            (struct identity_choice){.spiffe_id = new->spiffe_id, .hint = new->hint}, err)) {
        return false;
    }
    intake_free(control->intake);
    control->intake = take(&intake);
    control->report = (struct source_report){0};
    ev_async_send(control->loop, &control->source_wake); // it may have delivered already
    return true;
}

void control_identity_stop(struct control *control) {
    intake_free(take(&control->intake));
    identity_store_free(control->store);
    identity_unref(control->last_identity);
    tls_context_unref(control->context);
}
