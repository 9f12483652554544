#include "agent/tunnel/leg_stream.h"

#include <stdlib.h>
#include <string.h>

#include "agent/tunnel/leg_stream_internal.h"

static struct leg_stream *self_of(struct leg *leg) {
    return (struct leg_stream *)(void *)leg;
}

static void touch(struct leg_stream *self) {
    if (self->tunnel != NULL && !list_is_linked(&self->touched)) {
        list_append(&self->tunnel->touched, &self->touched);
        tunnel_mark_dirty(self->tunnel);
    }
}

static struct leg_runs *borrow_runs(struct tunnel_env *env) {
    for (int i = 0; i < TUNNEL_RUNS; i++) {
        if (!env->runs_lent[i]) {
            env->runs_lent[i] = true;
            env->runs[i].num = 0;
            env->runs[i].len = 0;
            return &env->runs[i];
        }
    }
    return calloc(1, sizeof(struct leg_runs));
}

static void give_runs_back(struct tunnel_env *env, struct leg_runs *runs) {
    for (int i = 0; i < TUNNEL_RUNS; i++) {
        if (runs == &env->runs[i]) {
            env->runs_lent[i] = false;
            return;
        }
    }
    free(runs);
}

static bool has_fresh(const struct leg_stream *self) {
    return self->fresh != NULL && self->fresh->len > 0;
}

static enum leg_status peek(struct leg *leg, size_t most UNUSED, struct leg_runs *out) {
    struct leg_stream *self = self_of(leg);
    if (self->held.len > 0) {
        held_offer(&self->held, out);
        return LEG_OK;
    }
    if (has_fresh(self)) {
        *out = *self->fresh;
        return LEG_OK;
    }
    if (self->peer_ended) {
        return LEG_END;
    }
    return self->failed ? LEG_FAILED : LEG_AGAIN;
}

static bool consume(struct leg *leg, const struct leg_runs *offer, size_t len) {
    struct leg_stream *self = self_of(leg);
    if (self->stream != NULL && len > 0) {
        h2_stream_consumed(self->stream, len);
        tunnel_mark_dirty(self->tunnel);
    }
    if (self->held.len > 0) {
        held_take(&self->held, len);
        return true;
    }
    self->fresh->num = 0;
    self->fresh->len = 0;
    if (!held_put(&self->held, offer, len)) {
        leg->failure = CLOSE_NO_MEMORY;
        return false;
    }
    return true;
}

static void enough(struct leg *leg UNUSED) {
    // The tunnel reads, not the stream; what it has brought is bounded by the stream's window.
}

static enum leg_status write_runs(struct leg *leg, const struct leg_runs *runs, size_t *taken) {
    struct leg_stream *self = self_of(leg);
    *taken = 0;
    self->full = false;
    if (self->failed) {
        return LEG_FAILED;
    }
    if (self->stream == NULL) {
        return leg_fail(leg, CLOSE_PEER_RESET);
    }
    leg_stream_answer_owed(self);
    for (int i = 0; i < runs->num; i++) {
        size_t n = h2_stream_write(self->stream, runs->run[i].iov_base, runs->run[i].iov_len);
        *taken += n;
        if (n < runs->run[i].iov_len) {
            self->full = true;
            break;
        }
    }
    tunnel_mark_dirty(self->tunnel);
    return self->full ? LEG_AGAIN : LEG_OK;
}

static size_t room(struct leg *leg) {
    struct leg_stream *self = self_of(leg);
    if (self->stream == NULL || self->failed) {
        return LEG_ROOM_UNKNOWN;
    }
    if (tls_link_wants_write(&self->tunnel->link)) {
        self->full = self->tunnel->refused = true; // woken when the tunnel has sent what waits
        return 0;
    }
    return h2_stream_room(self->stream);
}

static enum leg_status finish(struct leg *leg) {
    struct leg_stream *self = self_of(leg);
    leg_stream_answer_owed(self);
    if (self->stream != NULL) {
        h2_stream_end(self->stream);
        tunnel_mark_dirty(self->tunnel);
    }
    return LEG_OK;
}

// After the peer's FIN a failure concerns what we send only: what came before goes out first.
static enum leg_status flush(struct leg *leg) {
    struct leg_stream *self = self_of(leg);
    bool owes = self->peer_ended && (self->held.len > 0 || has_fresh(self));
    return self->failed && !owes ? LEG_FAILED : LEG_OK;
}

static void arm(struct leg *leg UNUSED, bool readable UNUSED, bool writable UNUSED) {
    // Woken by the tunnel's events.
}

static void count_open(struct tunnel *tunnel, int64_t by) {
    counter_add(&tunnel->env->counters->metrics[METRIC_STREAMS_OPEN], by);
}

void leg_stream_detach(struct leg_stream *self) {
    if (self->tunnel != NULL) {
        count_open(self->tunnel, -1);
        give_runs_back(self->tunnel->env, self->fresh);
    }
    list_remove(&self->node);
    list_remove(&self->touched);
    list_remove(&self->owed);
    held_fini(&self->held);
    self->fresh = NULL;
    self->stream = NULL;
    self->tunnel = NULL;
}

static void end_stream(struct leg_stream *self, uint32_t error) {
    if (self->stream != NULL) {
        h2_stream_set_arg(self->stream, NULL);
        h2_stream_reset(self->stream, error);
        tunnel_mark_dirty(self->tunnel);
    }
    leg_stream_detach(self);
}

static void reset(struct leg *leg) {
    end_stream(self_of(leg), H2_CONNECT_ERROR);
}

// After both ends have finished the session closes the stream by itself; a stream that is still
// there was not finished, and is cancelled.
static void close_leg(struct leg *leg) {
    struct leg_stream *self = self_of(leg);
    if (self->stream != NULL && self->peer_ended) {
        h2_stream_set_arg(self->stream, NULL);
        leg_stream_detach(self);
        return;
    }
    end_stream(self, H2_CANCEL);
}

static size_t unacknowledged(const struct leg *leg UNUSED) {
    return 0;
}

static bool was_reset(struct leg *leg UNUSED) {
    return false; // the tunnel always listens
}

static void keepalive(struct leg *leg UNUSED, int idle_s UNUSED, int interval_s UNUSED) {
    // The tunnel pings for all its streams.
}

static const struct leg_ops OPS = {
    .peek = peek,
    .consume = consume,
    .enough = enough,
    .write = write_runs,
    .room = room,
    .finish = finish,
    .flush = flush,
    .arm = arm,
    .reset = reset,
    .close = close_leg,
    .was_reset = was_reset,
    .unacknowledged = unacknowledged,
    .keepalive = keepalive,
};

static void init(struct leg_stream *self, struct tunnel *tunnel, struct leg_owner owner) {
    *self = (struct leg_stream){.leg = {.ops = &OPS}, .tunnel = tunnel, .owner = owner};
    list_append(&tunnel->legs, &self->node);
    tunnel->streams_total++;
    count_open(tunnel, 1);
    tunnel->idle_since_ms = 0;
}

bool leg_stream_open(struct leg_stream *self, struct tunnel *tunnel, const struct netaddr *target,
                     const struct netaddr *source, struct leg_owner owner) {
    char authority[NETADDR_TEXT_MAX];
    char from[NETADDR_TEXT_MAX];
    char forwarded[NETADDR_TEXT_MAX + 8];
    netaddr_format(target, authority);
    char *end = stpcpy(stpcpy(forwarded, "for=\""), netaddr_format(source, from));
    stpcpy(end, "\"");
    init(self, tunnel, owner);
    self->stream = h2_session_connect(tunnel->session, authority, forwarded, self);
    if (self->stream == NULL) {
        leg_stream_detach(self);
        return false;
    }
    tunnel_mark_dirty(tunnel);
    return true;
}

void leg_stream_adopt(struct leg_stream *self, struct tunnel *tunnel, struct h2_stream *stream,
                      struct leg_owner owner) {
    init(self, tunnel, owner);
    self->stream = stream;
    h2_stream_set_arg(stream, self);
}

void leg_stream_on_status(void *arg, int status) {
    struct leg_stream *self = arg;
    self->status = status;
    touch(self);
}

// Notes where the bytes are; they are copied only if the owner does not take them in this turn.
void leg_stream_on_data(void *arg, struct span bytes) {
    struct leg_stream *self = arg;
    touch(self);
    if (bytes.len == 0) {
        return;
    }
    self->fed = true;
    if (self->fresh == NULL) {
        self->fresh = borrow_runs(self->tunnel->env);
    }
    struct leg_runs one = {.num = 1, .len = bytes.len};
    one.run[0] = (struct iovec){.iov_base = (void *)(uintptr_t)bytes.ptr, .iov_len = bytes.len};
    struct leg_runs *fresh = self->fresh;
    if (fresh != NULL && self->held.len == 0 && fresh->num < LEG_MAX_RUNS) {
        fresh->run[fresh->num++] = one.run[0];
        fresh->len += bytes.len;
        return;
    }
    bool kept =
        (fresh == NULL || held_put(&self->held, fresh, 0)) && held_put(&self->held, &one, 0);
    if (fresh != NULL) {
        fresh->num = 0;
        fresh->len = 0;
    }
    if (!kept) {
        self->failed = true;
        self->leg.failure = CLOSE_NO_MEMORY;
    }
}

void leg_stream_on_end(void *arg) {
    struct leg_stream *self = arg;
    self->peer_ended = true;
    touch(self);
}

void leg_stream_on_writable(void *arg) {
    touch(arg);
}

static enum close_reason reason_of(uint32_t error) {
    switch (error) {
    case H2_REFUSED_STREAM:
        return CLOSE_TUNNEL_LOST;
    case H2_ENHANCE_YOUR_CALM:
        return CLOSE_LIMIT;
    case H2_PROTOCOL_ERROR:
    case H2_INTERNAL_ERROR:
        return CLOSE_PROTOCOL;
    default:
        return CLOSE_PEER_RESET;
    }
}

void leg_stream_on_closed(void *arg, uint32_t error, bool clean) {
    struct leg_stream *self = arg;
    touch(self);
    self->stream = NULL;
    if (!clean) {
        self->failed = true;
        self->leg.failure = reason_of(error);
        self->refused = error == H2_REFUSED_STREAM;
    }
}

void leg_stream_on_lost(struct leg_stream *self, enum close_reason why) {
    if (self->stream == NULL) { // it has ended before, in order or not
        return;
    }
    self->stream = NULL;
    self->failed = true;
    self->leg.failure = why;
}

static void keep_fresh(struct leg_stream *self) {
    if (self->fresh == NULL) {
        return;
    }
    if (!held_put(&self->held, self->fresh, 0)) {
        self->failed = true;
        self->leg.failure = CLOSE_NO_MEMORY;
    }
    give_runs_back(self->tunnel->env, self->fresh);
    self->fresh = NULL;
}

void leg_stream_keep_fresh(struct tunnel *tunnel) {
    LIST_FOR_EACH(&tunnel->legs, it) {
        keep_fresh(LIST_ENTRY(it, struct leg_stream, node));
    }
}

void leg_stream_wake_touched(struct tunnel *tunnel) {
    while (!list_is_empty(&tunnel->touched)) {
        struct leg_stream *leg = LIST_ENTRY(tunnel->touched.head.next, struct leg_stream, touched);
        list_remove(&leg->touched);
        leg->owner.wake(leg->owner.arg);
        keep_fresh(leg); // a leg that was detached has none
    }
}

void leg_stream_wake_full(struct tunnel *tunnel) {
    LIST_FOR_EACH(&tunnel->legs, it) {
        struct leg_stream *leg = LIST_ENTRY(it, struct leg_stream, node);
        if (leg->full) {
            touch(leg);
        }
    }
}
