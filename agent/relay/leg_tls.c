#include "agent/relay/leg_tls.h"

#include <string.h>

#include "agent/net/socket.h"

static struct leg_tls *self_of(struct leg *leg) {
    return (struct leg_tls *)(void *)leg;
}

_Static_assert(TLS_MAX_RUNS <= LEG_MAX_RUNS && TLS_PLAIN_HEADROOM >= LEG_HEADROOM,
               "what a link reads can be offered as it is");

static void offer(const struct tls_runs *runs, struct leg_runs *out) {
    out->num = runs->num;
    out->len = runs->len;
    memcpy(out->run, runs->run, (size_t)runs->num * sizeof(runs->run[0]));
}

static enum leg_status peek(struct leg *leg, size_t most UNUSED, struct leg_runs *out) {
    struct leg_tls *self = self_of(leg);
    if (self->held.len > 0) {
        held_offer(&self->held, out);
        return LEG_OK;
    }
    struct tls_runs runs;
    switch (tls_link_read_runs(&self->link, &runs)) {
    case TLS_OK:
        offer(&runs, out);
        return LEG_OK;
    case TLS_AGAIN:
        return LEG_AGAIN;
    case TLS_EOF:
        return LEG_END;
    case TLS_TRUNCATED:
        return leg_fail(leg, CLOSE_TRUNCATED);
    case TLS_FAILED:
        break;
    }
    return leg_fail(leg, self->link.broken ? CLOSE_PEER_RESET : CLOSE_TLS_FAILED);
}

static bool consume(struct leg *leg, const struct leg_runs *offer, size_t len) {
    struct leg_tls *self = self_of(leg);
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
    tls_link_enough(&self_of(leg)->link);
}

static enum leg_status write_runs(struct leg *leg, const struct leg_runs *runs, size_t *taken) {
    struct leg_tls *self = self_of(leg);
    *taken = 0;
    for (int i = 0; i < runs->num; i++) {
        size_t n = 0;
        enum tls_status status =
            tls_link_write(&self->link, runs->run[i].iov_base, runs->run[i].iov_len, &n);
        *taken += n;
        if (status == TLS_FAILED) {
            return leg_fail(leg, CLOSE_PEER_RESET);
        }
        if (n < runs->run[i].iov_len) {
            return LEG_AGAIN;
        }
    }
    return LEG_OK;
}

static enum leg_status flush(struct leg *leg) {
    struct leg_tls *self = self_of(leg);
    bool is_last = self->done && !self->shut;
    switch (is_last ? tls_link_flush_last(&self->link) : tls_link_flush(&self->link)) {
    case TLS_OK:
        if (is_last) {
            self->shut = true;
            socket_finish(self->link.fd);
        }
        return LEG_OK;
    case TLS_AGAIN:
        return LEG_AGAIN;
    default:
        return leg_fail(leg, CLOSE_PEER_RESET);
    }
}

static enum leg_status finish(struct leg *leg) {
    struct leg_tls *self = self_of(leg);
    self->done = true;
    tls_link_close_notify(&self->link);
    return flush(leg) == LEG_FAILED ? LEG_FAILED : LEG_OK;
}

static void arm(struct leg *leg, bool readable, bool writable) {
    struct leg_tls *self = self_of(leg);
    if (self->link.fd < 0) {
        return;
    }
    if (!readable) {
        tls_link_wake(&self->link); // no event will tell
    }
    bool write = writable || tls_link_wants_write(&self->link);
    int events = (readable ? EV_READ : 0) | (write ? EV_WRITE : 0);
    int armed = ev_is_active(&self->io) ? self->io.events & (EV_READ | EV_WRITE) : 0;
    if (events == armed) {
        return;
    }
    ev_io_stop(self->loop, &self->io);
    ev_io_set(&self->io, self->link.fd, events);
    if (events != 0) {
        ev_io_start(self->loop, &self->io);
    }
}

static void let_go(struct leg_tls *self, bool reset) {
    if (self->link.stream == NULL) {
        return;
    }
    ev_io_stop(self->loop, &self->io);
    held_fini(&self->held);
    tls_link_fini(&self->link, reset);
}

static void reset(struct leg *leg) {
    let_go(self_of(leg), true);
}

static void close_leg(struct leg *leg) {
    let_go(self_of(leg), false);
}

static size_t unacknowledged(const struct leg *leg) {
    const struct leg_tls *self = (const struct leg_tls *)(const void *)leg;
    if (self->link.stream == NULL) {
        return 0;
    }
    return tls_stream_backlog(self->link.stream).len + socket_unacknowledged(self->link.fd);
}

static bool was_reset(struct leg *leg) {
    struct leg_tls *self = self_of(leg);
    bool reset = !ev_is_active(&self->io) && self->link.fd >= 0 && socket_is_closed(self->link.fd);
    leg->failure = reset ? CLOSE_PEER_RESET : leg->failure;
    return reset;
}

static void keepalive(struct leg *leg, int idle_s, int interval_s) {
    if (self_of(leg)->link.fd >= 0) {
        socket_keepalive(self_of(leg)->link.fd, idle_s, interval_s, SOCKET_KEEPALIVE_PROBES);
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
    struct leg_tls *self = io->data;
    if ((events & EV_READ) != 0) {
        tls_link_wake(&self->link);
    }
    self->wake(self->arg);
}

void leg_tls_init(struct leg_tls *self, const struct leg_tls_setup *setup) {
    *self = (struct leg_tls){
        .leg = {.ops = &OPS}, .loop = setup->loop, .wake = setup->wake, .arg = setup->arg};
    tls_link_init(&self->link, setup->turn, setup->stream, setup->fd);
    ev_init(&self->io, on_io);
    ev_io_set(&self->io, setup->fd, 0);
    self->io.data = self;
}

enum tls_status leg_tls_handshake(struct leg_tls *self) {
    enum tls_status status = tls_link_handshake(&self->link);
    if (status == TLS_AGAIN) {
        arm(&self->leg, true, false);
    }
    return status;
}
