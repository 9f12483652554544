// The end: nothing new comes in, what runs may end by itself, and the process goes when all is over
// or at the drain deadline.
#include "agent/control/control_parts_internal.h"
#include "base/clock.h"
#include "base/log.h"

#define GOAWAY_TRAVELS_MS 1000
#define LEAVE_LOOK_S 0.01
#define ANSWERS_WITHIN_MS 1000

// A worker that has not taken its orders yet may have accepted a connection just now, and a peer
// that has not read our GOAWAY may have a stream under way: none may be lost where another process
// serves on.
static bool is_closed(struct control *control) {
    for (unsigned i = 0; i < control->num_workers; i++) {
        if (!worker_is_closed(control->workers[i])) {
            return false;
        }
    }
    int64_t now = clock_mono_ms();
    if (control->closed_ms == 0) {
        control->closed_ms = now;
    }
    return now - control->closed_ms >= GOAWAY_TRAVELS_MS;
}

// Its own listening sockets are closed as well; from here on leave_when_idle() looks by itself.
static void accept_nothing(struct control *control) {
    struct listener_set *none = listener_set_new_empty();
    if (none != NULL) { // else this process accepts until it ends
        listener_set_unref(control->listeners);
        control->listeners = none;
    }
    status_server_retire(control->status);
    control->draining = true;
    control_command_workers(control);
    control->accepts_nothing_ms = clock_mono_ms();
    ev_timer_start(control->loop, &control->leave_look);
}

// The sockets live on, with a successor or with systemd.
static bool others_serve_on(const struct control *control) {
    return control->has_successor || control->num_handed > 0;
}

static bool has_answered(const struct control *control) {
    return !status_server_is_busy(control->status) ||
           clock_mono_ms() - control->accepts_nothing_ms >= ANSWERS_WITHIN_MS;
}

static void leave_when_idle(struct control *control) {
    if (!control->leaving || atomic_load(&control->shared.num_conns) != 0) {
        return; // the last connection's end is heard of
    }
    if (control->accepts_nothing_ms == 0) {
        accept_nothing(control);
    }
    if ((!others_serve_on(control) || is_closed(control)) && has_answered(control) &&
        atomic_load(&control->shared.num_conns) == 0) {
        log_msg(LOG_INFO, "drained", "the last connection has ended");
        ev_break(control->loop, EVBREAK_ALL);
    }
}

static void on_idle(struct ev_loop *loop UNUSED, ev_async *async, int events UNUSED) {
    leave_when_idle(async->data);
}

static void on_leave_look(struct ev_loop *loop UNUSED, ev_timer *timer, int events UNUSED) {
    leave_when_idle(timer->data);
}

// Nobody waits for it before the end.
void control_leave_wake(void *arg) {
    struct control *control = arg;
    if (atomic_load(&control->leaving)) {
        ev_async_send(control->loop, &control->idle_wake);
    }
}

static void on_drain_deadline(struct ev_loop *loop, ev_timer *timer, int events UNUSED) {
    struct control *control = timer->data;
    log_msg(LOG_WARN, "drain_deadline", "%lld connections are cut at the drain deadline",
            (long long)atomic_load(&control->shared.num_conns));
    ev_break(loop, EVBREAK_ALL); // stopping the workers ends what is left
}

void control_drain(struct control *control) {
    if (control->draining) {
        return;
    }
    struct err err = {0};
    struct listener_set *outbound = listener_set_new(
        control->config,
        &(struct listener_needs){.workers = control->num_workers, .old = control->listeners}, &err);
    if (outbound == NULL) {
        log_msg(LOG_ERROR, "drain", "inbound listeners stay open: %s", err.msg);
    } else {
        listener_set_unref(control->listeners);
        control->listeners = outbound;
    }
    control->draining = true;
    log_msg(LOG_INFO, "draining", "no new inbound connections; %lld open",
            (long long)atomic_load(&control->shared.num_conns));
    control_command_workers(control);
}

static void leave(struct control *control) {
    control->leaving = true;
    ev_timer_set(&control->drain_timer, (double)control->config->drain_deadline_ms / 1e3, 0);
    ev_timer_start(control->loop, &control->drain_timer);
    ev_async_send(control->loop, &control->idle_wake); // perhaps there is none already
}

void control_quit(struct control *control) {
    control_successor_renounce(control);
    control_drain(control);
    if (!control->leaving) {
        notify_send(&control->notify, "STOPPING=1");
        leave(control);
    }
}

void control_leave_to_successor(struct control *control) {
    accept_nothing(control);
    control_staples_rest(control);
    control_trust_stop(control); // the other writes the trust store, perhaps from other sources
    if (!control->leaving) {
        leave(control);
    }
}

void control_leave_init(struct control *control) {
    ev_async_init(&control->idle_wake, on_idle);
    control->idle_wake.data = control;
    ev_async_start(control->loop, &control->idle_wake);
    ev_init(&control->drain_timer, on_drain_deadline);
    control->drain_timer.data = control;
    ev_timer_init(&control->leave_look, on_leave_look, LEAVE_LOOK_S, LEAVE_LOOK_S);
    control->leave_look.data = control;
}
