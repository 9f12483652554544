// The predecessor's half of an upgrade in place: whoever asks for the listening sockets gets them,
// and when it is ready this process accepts no more and drains. Until then nothing changes here.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/control/control_parts_internal.h"
#include "agent/control/handover.h"
#include "agent/control/launcher.h"
#include "agent/mesh/pins.h"
#include "agent/net/socket.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

// Longer than a successor waits for itself (control_successor.c).
#define SUCCESSOR_WITHIN_S 90

struct control_handover {
    struct control *control;
    char name[HANDOVER_NAME_MAX];
    int listener; // -1: an upgrade in place is not possible
    ev_io accept_io;
    int fd;          // the successor that is starting; -1: none
    pid_t pid;       // its process
    pid_t said_gone; // the last one whose end was said
    ev_io io;
    ev_timer deadline;
    struct launcher launcher; // no fd: SIGUSR2 cannot start one
    ev_io launcher_io;
    ev_io launcher_end;
    int waiting; // the successor, until the service manager knows it; -1: it does
};

static void close_successor(struct control_handover *handover) {
    ev_io_stop(handover->control->loop, &handover->io);
    ev_timer_stop(handover->control->loop, &handover->deadline);
    socket_close(handover->fd);
    handover->fd = -1;
}

// Nothing has happened; whichever way the end is heard of first, it is said once.
static void say_gone(struct control_handover *handover, pid_t pid, const char *how) {
    if (pid == handover->said_gone || handover->control->has_successor) {
        return;
    }
    handover->said_gone = pid;
    log_msg(LOG_WARN, "take_over_failed",
            "the successor (pid %d) %s before it was ready; this process goes on as before",
            (int)pid, how);
}

// It is told: to see the connection end would mean to it that nobody serves any more. What it has
// said is taken out, since an end with something unread hides our last word from it.
static void send_away(int fd) {
    struct handover_message message;
    (void)!handover_say(fd, HANDOVER_BUSY);
    (void)shutdown(fd, SHUT_RDWR);
    while (handover_receive(fd, &message) == HANDOVER_OK) {
        handover_close_all(&message);
    }
}

static void give_up_on(struct control_handover *handover, const char *how) {
    send_away(handover->fd);
    close_successor(handover);
    handover->control->kept.is_theirs = false;
    say_gone(handover, handover->pid, how);
    if (handover->control->reload_waits) {
        control_reload(handover->control);
    }
}

// --- what is handed over -------------------------------------------------------------------------

static bool send_batches(int fd, const int *fds, size_t num) {
    while (num > 0) {
        struct handover_message message = {.kind = HANDOVER_SOCKETS};
        message.num_fds = num < HANDOVER_FDS_MAX ? num : HANDOVER_FDS_MAX;
        memcpy(message.fds, fds, message.num_fds * sizeof(*fds));
        if (!handover_send(fd, &message)) {
            return false;
        }
        fds += message.num_fds;
        num -= message.num_fds;
    }
    return true;
}

static bool give_sockets(struct control_handover *handover) {
    struct control *control = handover->control;
    size_t num = listener_set_num_sockets(control->listeners);
    int *fds = calloc(num + STATUS_SOCKETS_MAX, sizeof(*fds));
    if (fds == NULL) {
        return false;
    }
    for (size_t i = 0; i < num; i++) {
        fds[i] = listener_set_socket(control->listeners, i);
    }
    num += status_server_sockets(control->status, fds + num);
    bool ok = send_batches(handover->fd, fds, num) &&
              handover_send(handover->fd, &(struct handover_message){.kind = HANDOVER_LISTENER,
                                                                     .fds = {handover->listener},
                                                                     .num_fds = 1});
    free(fds);
    return ok;
}

// A file in memory; its reader says from where by itself. -1: there is none.
static int write_to_memory(struct span text) {
    int fd = memfd_create("pins", MFD_CLOEXEC);
    if (fd >= 0 && !file_write_all(fd, text)) {
        close(fd);
        return -1;
    }
    return fd;
}

// Who was pinned here since the successor has read them must not be a stranger there. From now on
// the state directory is its own.
static bool give_pins(struct control_handover *handover) {
    struct control *control = handover->control;
    struct buf text = {0};
    int fd = -1;
    if (pins_render(control->shared.destinations, clock_wall_ms(), &text)) {
        fd = write_to_memory(buf_span(&text));
    }
    buf_fini(&text);
    control->kept.is_theirs = true;
    struct handover_message message = {.kind = HANDOVER_PINS, .fds = {fd}, .num_fds = 1};
    bool ok = fd >= 0 && handover_send(handover->fd, &message);
    socket_close(fd);
    // It accepts once it has read them, and is not to be sent away after that.
    ev_timer_stop(control->loop, &handover->deadline);
    return ok;
}

// --- the successor speaks ------------------------------------------------------------------------

static void stop_listening(struct control_handover *handover) {
    ev_io_stop(handover->control->loop, &handover->accept_io);
    socket_close(handover->listener);
    handover->listener = -1;
}

static void stop_launcher(struct control_handover *handover) {
    ev_io_stop(handover->control->loop, &handover->launcher_io);
    socket_close(handover->launcher.fd);
    handover->launcher.fd = -1;
}

// The reload that waits is over with it: nobody else can say so, as long as this is the main one.
static void say_main(struct control_handover *handover) {
    struct control *control = handover->control;
    ev_io_stop(control->loop, &handover->launcher_end);
    if (handover->waiting >= 0) {
        notify_send(&control->notify, control->reload_waits ? "MAINPID=%d\nREADY=1" : "MAINPID=%d",
                    (int)handover->pid);
        socket_close(handover->waiting); // what it says to the service manager counts now
        handover->waiting = -1;
    }
}

static void on_launcher_end(struct ev_loop *loop UNUSED, ev_io *io, int events UNUSED) {
    say_main(io->data);
}

// Its process is the launcher's child until that one has ended, then the service manager's own. One
// that systemd takes for another's it does not wait for when it stops the service: no drain.
static void say_main_later(struct control_handover *handover) {
    if (handover->launcher.pidfd < 0) {
        say_main(handover);
        return;
    }
    ev_io_set(&handover->launcher_end, handover->launcher.pidfd, EV_READ);
    ev_io_start(handover->control->loop, &handover->launcher_end);
}

static void succeed(struct control_handover *handover) {
    struct control *control = handover->control;
    handover->waiting = handover->fd;
    handover->fd = -1;
    close_successor(handover);
    stop_listening(handover);
    stop_launcher(handover);
    control->has_successor = true;
    say_main_later(handover);
    log_msg(LOG_INFO, "handed_over",
            "the successor (pid %d) accepts from now on; %lld connections run on here",
            (int)handover->pid, (long long)atomic_load(&control->shared.num_conns));
    if (control->reload_waits) {
        log_msg(LOG_WARN, "reload_refused",
                "the successor has taken over, perhaps with the configuration of before; send "
                "SIGHUP to it (pid %d)",
                (int)handover->pid);
    }
    control_leave_to_successor(control);
}

// False: the successor is to be given up on.
static bool answer(struct control_handover *handover, enum handover_kind kind) {
    switch (kind) {
    case HANDOVER_FETCH:
        return give_sockets(handover);
    case HANDOVER_READY:
        return give_pins(handover);
    case HANDOVER_ACCEPTING:
        succeed(handover);
        return true;
    case HANDOVER_SOCKETS:
    case HANDOVER_LISTENER:
    case HANDOVER_PINS:
    case HANDOVER_BUSY:
        return false; // the predecessor's words
    }
    return false;
}

static void on_successor(struct ev_loop *loop UNUSED, ev_io *io, int events UNUSED) {
    struct control_handover *handover = io->data;
    struct handover_message message;
    switch (handover_receive(handover->fd, &message)) {
    case HANDOVER_OK:
        if (message.kind == HANDOVER_FETCH && message.num_fds == 1) {
            control_app_tell(handover->control, message.fds[0]);
        }
        handover_close_all(&message); // nothing that is lent is kept
        if (!answer(handover, message.kind)) {
            give_up_on(handover, "could not be given what it needs");
        }
        return;
    case HANDOVER_AGAIN:
        return;
    case HANDOVER_ENDED:
        give_up_on(handover, "ended");
        return;
    case HANDOVER_BAD:
        give_up_on(handover, "speaks another version of the hand-over and was sent away");
        return;
    }
}

static void on_deadline(struct ev_loop *loop UNUSED, ev_timer *timer, int events UNUSED) {
    give_up_on(timer->data, "took too long and was sent away");
}

static void on_connect(struct ev_loop *loop, ev_io *io, int events UNUSED) {
    struct control_handover *handover = io->data;
    pid_t pid = 0;
    int fd = handover_accept(handover->listener, &pid);
    if (fd < 0) {
        return;
    }
    if (handover->fd >= 0 || handover->control->leaving) {
        (void)!handover_say(fd, HANDOVER_BUSY);
        socket_close(fd);
        return;
    }
    handover->fd = fd;
    handover->pid = pid;
    log_msg(LOG_INFO, "take_over", "a successor (pid %d) starts", (int)pid);
    ev_io_set(&handover->io, fd, EV_READ);
    ev_io_start(loop, &handover->io);
    ev_timer_set(&handover->deadline, SUCCESSOR_WITHIN_S, 0);
    ev_timer_start(loop, &handover->deadline);
}

bool control_handover_is_under_way(const struct control *control) {
    return control->handover->fd >= 0;
}

// --- SIGUSR2 -------------------------------------------------------------------------------------

void control_handover_request(struct control *control) {
    struct control_handover *handover = control->handover;
    char wish = 'u';
    if (handover->launcher.fd < 0 || handover->listener < 0 || control->leaving ||
        send(handover->launcher.fd, &wish, 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1) {
        log_msg(LOG_WARN, "take_over_failed",
                "SIGUSR2 cannot start a successor here (%s); start one with --take-over, or "
                "replace the container",
                control->leaving         ? "this process ends already"
                : handover->listener < 0 ? "nothing can be handed over"
                                         : "as process 1, or its launcher is gone");
    }
}

// The launcher says how the successor that it started has ended.
static void on_launcher(struct ev_loop *loop UNUSED, ev_io *io, int events UNUSED) {
    struct control_handover *handover = io->data;
    struct launcher_report report;
    ssize_t len = recv(handover->launcher.fd, &report, sizeof(report), MSG_DONTWAIT);
    if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR)) {
        stop_launcher(handover);
    } else if (len == (ssize_t)sizeof(report)) {
        say_gone(handover, report.pid,
                 WIFEXITED(report.status) ? "ended by itself" : "was killed by a signal");
    }
}

// --- life ----------------------------------------------------------------------------------------

static int listen_at(const char *name) {
    struct err err = {0};
    int listener = handover_listen(name, &err);
    if (listener < 0) {
        log_msg(LOG_WARN, "take_over", "an upgrade in place will not be possible: %s", err.msg);
    }
    return listener;
}

void control_handover_offer(struct control *control, int listener) {
    struct control_handover *handover = control->handover;
    const struct netaddr *first = control_sockets_first(control->config);
    char name[HANDOVER_NAME_MAX] = "";
    if (first != NULL) {
        handover_name(first, name);
    }
    bool is_same = strcmp(name, handover->name) == 0;
    if ((is_same && listener < 0) || control->accepts_nothing != NULL) {
        return; // a successor that waits has its predecessor's in the end
    }
    stop_listening(handover);
    memcpy(handover->name, name, sizeof(name));
    handover->listener = listener < 0 && first != NULL ? listen_at(name) : listener;
    if (handover->listener >= 0) {
        ev_io_set(&handover->accept_io, handover->listener, EV_READ);
        ev_io_start(control->loop, &handover->accept_io);
    }
}

bool control_handover_start(struct control *control, struct launcher launcher, struct err *err) {
    struct control_handover *handover = calloc(1, sizeof(*handover));
    if (handover == NULL) {
        return ERR_NO_MEMORY(err, "starting");
    }
    handover->control = control;
    handover->listener = handover->fd = handover->waiting = -1;
    handover->launcher = launcher;
    ev_init(&handover->accept_io, on_connect);
    ev_init(&handover->io, on_successor);
    ev_init(&handover->deadline, on_deadline);
    ev_init(&handover->launcher_io, on_launcher);
    ev_init(&handover->launcher_end, on_launcher_end);
    handover->accept_io.data = handover->io.data = handover;
    handover->deadline.data = handover->launcher_io.data = handover->launcher_end.data = handover;
    if (launcher.fd >= 0) {
        ev_io_set(&handover->launcher_io, launcher.fd, EV_READ);
        ev_io_start(control->loop, &handover->launcher_io);
    }
    control->handover = handover;
    return true;
}

void control_handover_stop(struct control *control) {
    struct control_handover *handover = control->handover;
    if (handover == NULL) {
        return;
    }
    close_successor(handover);
    stop_listening(handover);
    stop_launcher(handover);
    say_main(handover);
    socket_close(handover->launcher.pidfd);
    free(handover);
}
