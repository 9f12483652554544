#include "tests/relay/fake_leg.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static struct fake_leg *self_of(struct leg *leg) {
    return (struct fake_leg *)(void *)leg;
}

static enum leg_status peek(struct leg *leg, size_t most, struct leg_runs *out) {
    struct fake_leg *self = self_of(leg);
    self->num_peeks++;
    self->most = most;
    size_t left = self->source_len - self->offered;
    if (left == 0) {
        return self->fails ? leg_fail(leg, CLOSE_PEER_RESET) : LEG_END;
    }
    if (prng_below(self->prng, 3) == 0) {
        return LEG_AGAIN;
    }
    uint8_t *at = self->source + LEG_HEADROOM + self->offered;
    out->num = 0;
    out->len = 0;
    int runs = 1 + (int)prng_below(self->prng, 3);
    while (out->num < runs && left > 0) {
        size_t len = 1 + prng_below(self->prng, left < 700 ? left : 700);
        out->run[out->num++] = (struct iovec){.iov_base = at + out->len, .iov_len = len};
        out->len += len;
        left -= len;
    }
    return LEG_OK;
}

static bool consume(struct leg *leg, const struct leg_runs *offer, size_t len) {
    CHECK(len <= offer->len);
    self_of(leg)->offered += len;
    return true;
}

static void enough(struct leg *leg UNUSED) {
}

static enum leg_status write_runs(struct leg *leg, const struct leg_runs *runs, size_t *taken) {
    struct fake_leg *self = self_of(leg);
    *taken = 0;
    CHECK(!self->finished);
    if (self->dead_sink) {
        return leg_fail(leg, CLOSE_APP_RESET);
    }
    size_t room = prng_below(self->prng, 2) == 0 ? runs->len : prng_below(self->prng, 500);
    for (int i = 0; i < runs->num && *taken < room; i++) {
        size_t len = runs->run[i].iov_len;
        len = len < room - *taken ? len : room - *taken;
        CHECK(buf_append(&self->sink, runs->run[i].iov_base, len));
        *taken += len;
    }
    return *taken < runs->len ? LEG_AGAIN : LEG_OK;
}

static size_t room(struct leg *leg) {
    return self_of(leg)->room;
}

static enum leg_status finish(struct leg *leg) {
    struct fake_leg *self = self_of(leg);
    CHECK(!self->finished);
    self->finished = true;
    return LEG_OK;
}

static enum leg_status flush(struct leg *leg) {
    return prng_below(self_of(leg)->prng, 4) == 0 ? LEG_AGAIN : LEG_OK;
}

static void arm(struct leg *leg, bool readable, bool writable) {
    self_of(leg)->wants_read = readable;
    self_of(leg)->wants_write = writable;
}

static void reset(struct leg *leg) {
    self_of(leg)->reset = true;
}

static void close_leg(struct leg *leg) {
    self_of(leg)->closed = true;
}

static size_t unacknowledged(const struct leg *leg UNUSED) {
    return 0;
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
    .unacknowledged = unacknowledged,
};

void fake_leg_init(struct fake_leg *self, struct prng *prng, const void *text, size_t len) {
    *self = (struct fake_leg){
        .leg = {.ops = &OPS}, .prng = prng, .source_len = len, .room = LEG_ROOM_UNKNOWN};
    self->source = calloc(1, LEG_HEADROOM + len);
    CHECK(self->source != NULL);
    if (len > 0) {
        memcpy(self->source + LEG_HEADROOM, text, len);
    }
}

void fake_leg_fini(struct fake_leg *self) {
    free(self->source);
    buf_fini(&self->sink);
}
