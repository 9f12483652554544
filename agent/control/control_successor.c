// The successor's half of an upgrade in place (--take-over): it starts with the sockets of the
// process that runs, accepts nothing while that one still does, and takes over when it is ready. If
// it does not become ready it ends, and the other goes on.
#include <stdlib.h>
#include <unistd.h>

#include "agent/control/control_parts_internal.h"
#include "agent/control/handover.h"
#include "agent/mesh/pins.h"
#include "agent/net/socket.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

#define READY_WITHIN_S 60
#define ANSWER_WITHIN_S 10
#define LOOK_EVERY_S 0.05

struct control_successor {
    struct control *control;
    int fd;       // to the predecessor; -1: it is gone, or has told the service manager of us
    int listener; // for our own successor; -1: not had yet
    bool asked;   // for the pins: ready
    bool begun;   // it accepts
    int64_t until_ms;
    ev_io io;
    ev_timer look;
};

// --- the start -----------------------------------------------------------------------------------

static bool take_message(struct control_successor *successor, struct handed *into,
                         struct handover_message *message, struct err *err) {
    if (message->kind == HANDOVER_LISTENER && message->num_fds == 1) {
        successor->listener = message->fds[0];
        return true;
    }
    if (message->kind != HANDOVER_SOCKETS) {
        handover_close_all(message);
        return ERR_SET(err, ERR_ENVIRONMENT,
                       message->kind == HANDOVER_BUSY
                           ? "the running agent hands over to another successor, or ends already"
                           : "the running agent speaks another version of the hand-over");
    }
    for (size_t i = 0; i < message->num_fds; i++) {
        int fd = message->fds[i];
        message->fds[i] = -1;
        if (!handed_add(into, fd, "of the predecessor", err)) {
            handover_close_all(message);
            return false;
        }
    }
    return true;
}

static bool fetch(struct control_successor *successor, struct handed *into, struct err *err) {
    int watcher = control_app_watcher(successor->control);
    struct handover_message message = {
        .kind = HANDOVER_FETCH, .fds = {watcher}, .num_fds = watcher >= 0 ? 1 : 0};
    if (!handover_send(successor->fd, &message)) {
        return ERR_SET(err, ERR_ENVIRONMENT, "the running agent has ended");
    }
    while (successor->listener < 0) {
        if (handover_receive(successor->fd, &message) != HANDOVER_OK) {
            return ERR_SET(err, ERR_ENVIRONMENT,
                           "the running agent did not hand over its sockets; it goes on");
        }
        if (!take_message(successor, into, &message, err)) {
            return false;
        }
    }
    return true;
}

bool control_successor_fetch(struct control *control, struct err *err) {
    char name[HANDOVER_NAME_MAX];
    struct control_successor *successor = calloc(1, sizeof(*successor));
    control->accepts_nothing = listener_set_new_empty();
    if (successor == NULL || control->accepts_nothing == NULL) {
        free(successor);
        return ERR_NO_MEMORY(err, "starting");
    }
    control->successor = successor;
    successor->control = control;
    successor->listener = -1;
    control->kept.is_theirs = true;
    const struct netaddr *first = control_sockets_first(control->config);
    if (first == NULL) {
        successor->fd = -1;
        return ERR_SET(err, ERR_INPUT, "the configuration has no listener to take over");
    }
    handover_name(first, name);
    successor->fd = handover_connect(name, ANSWER_WITHIN_S, err);
    return successor->fd >= 0 && fetch(successor, control->handed, err);
}

// --- ready, or not -------------------------------------------------------------------------------

static void hang_up(struct control_successor *successor) {
    ev_io_stop(successor->control->loop, &successor->io);
    socket_close(successor->fd);
    successor->fd = -1;
}

static void begin(struct control_successor *successor) {
    struct control *control = successor->control;
    int listener = successor->listener;
    successor->listener = -1;
    ev_timer_stop(control->loop, &successor->look);
    successor->begun = true;
    control->kept.is_theirs = false;
    listener_set_unref(take(&control->accepts_nothing));
    control_command_workers(control);
    status_server_release(control->status);
    control_handover_offer(control, listener);
    if (successor->fd >= 0 && !handover_say(successor->fd, HANDOVER_ACCEPTING)) {
        log_msg(LOG_WARN, "take_over", "the predecessor ended before it had handed over");
        hang_up(successor);
    }
    log_msg(LOG_INFO, "took_over", "this process accepts from now on");
    control_notify_tick(control);
}

static void take_pins(struct control *control, int fd) {
    struct buf text = {0};
    struct err err = {0};
    uint8_t bytes[4096];
    ssize_t len = 0;
    off_t at = 0;
    while (at < (off_t)PINS_TEXT_MAX && (len = pread(fd, bytes, sizeof(bytes), at)) > 0 &&
           buf_append(&text, bytes, (size_t)len)) {
        at += len;
    }
    if (len != 0) {
        log_msg(LOG_WARN, "state", "the predecessor's pins cannot be read");
    } else if (!pins_parse(control->shared.destinations, buf_span(&text), clock_wall_ms(),
                           control->config->outbound.mesh_pin_for_ms, &err)) {
        log_msg(LOG_WARN, "state", "the predecessor's pins: %s", err.msg);
    }
    buf_fini(&text);
}

// The predecessor serves on: two would accept, and write the state directory.
static void sent_away(struct control_successor *successor) {
    hang_up(successor);
    ev_timer_stop(successor->control->loop, &successor->look);
    log_msg(LOG_ERROR, "take_over_failed",
            "the predecessor did not wait for this process, or speaks another version of the "
            "hand-over; it goes on");
    successor->control->exit_code = 3;
    ev_break(successor->control->loop, EVBREAK_ALL);
}

static void on_predecessor(struct ev_loop *loop UNUSED, ev_io *io, int events UNUSED) {
    struct control_successor *successor = io->data;
    struct handover_message message;
    if (successor->begun) { // it has nothing more to say than its end
        hang_up(successor);
        control_notify_tick(successor->control);
        return;
    }
    switch (handover_receive(successor->fd, &message)) {
    case HANDOVER_OK:
        if (message.kind == HANDOVER_PINS && message.num_fds == 1 && successor->asked) {
            take_pins(successor->control, message.fds[0]);
            handover_close_all(&message);
            begin(successor);
            return;
        }
        handover_close_all(&message);
        sent_away(successor);
        return;
    case HANDOVER_BAD:
        sent_away(successor);
        return;
    case HANDOVER_AGAIN:
        return;
    case HANDOVER_ENDED:
        hang_up(successor);
        log_msg(LOG_WARN, "take_over",
                "the predecessor is gone; its connections wait until this process is ready");
        return;
    }
}

static bool is_ready(struct control *control, struct readiness *missing) {
    struct readiness checks[READINESS_MAX];
    size_t num = control_readiness(control, checks);
    for (size_t i = 0; i < num; i++) {
        if (!checks[i].ready) {
            *missing = checks[i];
            return false;
        }
    }
    return true;
}

static void give_up(struct control *control, const struct readiness *missing) {
    log_msg(LOG_ERROR, "take_over_failed", "not ready within %d s, the predecessor goes on: %s",
            READY_WITHIN_S, missing->pending);
    control->exit_code = 3;
    ev_break(control->loop, EVBREAK_ALL);
}

static void on_look(struct ev_loop *loop UNUSED, ev_timer *timer, int events UNUSED) {
    struct control_successor *successor = timer->data;
    struct control *control = successor->control;
    struct readiness missing;
    if (successor->asked && successor->fd >= 0) {
        return; // it answers, or ends
    }
    if (!is_ready(control, &missing)) {
        if (successor->fd >= 0 && clock_mono_ms() >= successor->until_ms) {
            give_up(control, &missing);
        }
        return;
    }
    if (successor->fd < 0) {
        begin(successor);
        return;
    }
    successor->asked = true;
    (void)!handover_say(successor->fd, HANDOVER_READY); // a failure is an end, or its last word
}

void control_successor_wait(struct control *control) {
    struct control_successor *successor = control->successor;
    status_server_hold(control->status);
    successor->until_ms = clock_mono_ms() + READY_WITHIN_S * 1000;
    ev_io_init(&successor->io, on_predecessor, successor->fd, EV_READ);
    successor->io.data = successor;
    ev_io_start(control->loop, &successor->io);
    ev_timer_init(&successor->look, on_look, LOOK_EVERY_S, LOOK_EVERY_S);
    successor->look.data = successor;
    ev_timer_start(control->loop, &successor->look);
}

bool control_successor_is_known(const struct control *control) {
    return control->successor == NULL || control->successor->fd < 0;
}

void control_successor_renounce(struct control *control) {
    struct control_successor *successor = control->successor;
    if (successor != NULL && control->accepts_nothing != NULL) {
        ev_timer_stop(control->loop, &successor->look);
        hang_up(successor);
    }
}

void control_successor_stop(struct control *control) {
    struct control_successor *successor = control->successor;
    listener_set_unref(control->accepts_nothing);
    if (successor != NULL) {
        if (control->loop != NULL) {
            ev_timer_stop(control->loop, &successor->look);
            ev_io_stop(control->loop, &successor->io);
        }
        socket_close(successor->listener);
        socket_close(successor->fd);
        free(successor);
    }
}
