#include "agent/relay/leg_socket.h"

#include <errno.h>
#include <sys/socket.h>

#include "agent/net/socket.h"
#include "base/check.h"

static struct leg_socket *self_of(struct leg *leg) {
    return (struct leg_socket *)(void *)leg;
}

static enum leg_status fail_by_errno(struct leg_socket *self, int errnum) {
    if (errnum == ENOMEM || errnum == ENOBUFS) {
        return leg_fail(&self->leg, CLOSE_NO_MEMORY);
    }
    return leg_fail(&self->leg, self->reset_reason);
}

static enum leg_status peek(struct leg *leg, size_t most, struct leg_runs *out) {
    struct leg_socket *self = self_of(leg);
    if (self->held.len > 0) {
        held_offer(&self->held, out);
        return LEG_OK;
    }
    if (self->drained) {
        return LEG_AGAIN;
    }
    size_t room = sizeof(self->scratch->bytes);
    room = most < room ? most : room;
    ssize_t got = recv(self->fd, self->scratch->bytes, room, 0);
    if (got < 0) {
        self->drained = true;
        return errno == EAGAIN || errno == EINTR ? LEG_AGAIN : fail_by_errno(self, errno);
    }
    if (got == 0) {
        return LEG_END;
    }
    // A short read means that the queue is empty: asking again would cost a call to hear so.
    self->drained = (size_t)got < room;
    out->run[0] = (struct iovec){.iov_base = self->scratch->bytes, .iov_len = (size_t)got};
    out->num = 1;
    out->len = (size_t)got;
    return LEG_OK;
}

static bool consume(struct leg *leg, const struct leg_runs *offer, size_t len) {
    struct leg_socket *self = self_of(leg);
    if (self->held.len > 0) {
        held_take(&self->held, len);
        return true;
    }
    if (!held_put(&self->held, offer, len)) {
        leg->failure = CLOSE_NO_MEMORY;
        return false;
    }
    return true;
}

static void enough(struct leg *leg) {
    self_of(leg)->drained = true;
}

static enum leg_status write_runs(struct leg *leg, const struct leg_runs *runs, size_t *taken) {
    struct leg_socket *self = self_of(leg);
    *taken = 0;
    ssize_t sent = socket_send(self->fd, runs->run, (size_t)runs->num, false);
    if (sent < 0) {
        return errno == EAGAIN || errno == EINTR ? LEG_AGAIN : fail_by_errno(self, errno);
    }
    *taken = (size_t)sent;
    return *taken < runs->len ? LEG_AGAIN : LEG_OK;
}

static enum leg_status finish(struct leg *leg) {
    socket_finish(self_of(leg)->fd);
    return LEG_OK;
}

static enum leg_status flush(struct leg *leg UNUSED) {
    return LEG_OK; // whatever write took is the kernel's
}

static void arm(struct leg *leg, bool readable, bool writable) {
    struct leg_socket *self = self_of(leg);
    if (self->fd < 0) {
        return;
    }
    // Level-triggered: while it is armed for reading an event announces whatever comes.
    self->drained = self->drained && readable;
    int events = (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);
    int armed = ev_is_active(&self->io) ? self->io.events & (EV_READ | EV_WRITE) : 0;
    if (events == armed) {
        return;
    }
    ev_io_stop(self->loop, &self->io);
    ev_io_set(&self->io, self->fd, events);
    if (events != 0) {
        ev_io_start(self->loop, &self->io);
    }
}

static void let_go(struct leg_socket *self) {
    ev_io_stop(self->loop, &self->io);
    held_fini(&self->held);
}

static void reset(struct leg *leg) {
    struct leg_socket *self = self_of(leg);
    let_go(self);
    if (self->fd >= 0) {
        socket_reset(self->fd);
    }
    self->fd = -1;
}

static void close_leg(struct leg *leg) {
    struct leg_socket *self = self_of(leg);
    let_go(self);
    socket_close(self->fd);
    self->fd = -1;
}

static size_t unacknowledged(const struct leg *leg) {
    const struct leg_socket *self = (const struct leg_socket *)(const void *)leg;
    return self->fd < 0 ? 0 : socket_unacknowledged(self->fd);
}

static bool was_reset(struct leg *leg) {
    struct leg_socket *self = self_of(leg);
    bool reset = !ev_is_active(&self->io) && self->fd >= 0 && socket_is_closed(self->fd);
    leg->failure = reset ? self->reset_reason : leg->failure;
    return reset;
}

static void keepalive(struct leg *leg, int idle_s, int interval_s) {
    if (self_of(leg)->fd >= 0) {
        socket_keepalive(self_of(leg)->fd, idle_s, interval_s, SOCKET_KEEPALIVE_PROBES);
    }
}

static const struct leg_ops OPS = {
    .peek = peek,
    .consume = consume,
    .enough = enough,
    .write = write_runs,
    .finish = finish,
    .flush = flush,
    .arm = arm,
    .reset = reset,
    .close = close_leg,
    .was_reset = was_reset,
    .unacknowledged = unacknowledged,
    .keepalive = keepalive,
};

static void on_io(struct ev_loop *loop UNUSED, ev_io *io, int events) {
    struct leg_socket *self = io->data;
    if ((events & EV_READ) != 0) {
        self->drained = false;
    }
    self->wake(self->arg);
}

void leg_socket_init(struct leg_socket *self, const struct leg_socket_setup *setup) {
    CHECK(setup->fd >= 0);
    *self = (struct leg_socket){
        .leg = {.ops = &OPS},
        .fd = setup->fd,
        .reset_reason = setup->reset_reason,
        .scratch = setup->scratch,
        .loop = setup->loop,
        .drained = setup->dialled,
        .wake = setup->wake,
        .arg = setup->arg,
    };
    ev_init(&self->io, on_io);
    ev_io_set(&self->io, setup->fd, 0);
    self->io.data = self;
}

int leg_socket_release(struct leg_socket *self) {
    let_go(self);
    int fd = self->fd;
    self->fd = -1;
    return fd;
}
