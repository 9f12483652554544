#include "agent/relay/relay.h"

enum pump_status { PUMP_OK, PUMP_SOURCE_FAILED, PUMP_SINK_FAILED };

static size_t room_of(struct leg *leg) {
    return leg->ops->room == NULL ? LEG_ROOM_UNKNOWN : leg->ops->room(leg);
}

// Moves one offer. `*more` says whether another try makes sense in this turn.
static enum pump_status pump_once(struct relay_direction *dir, struct leg *from, struct leg *to,
                                  bool *more) {
    struct leg_runs offer;
    *more = false;
    size_t room = room_of(to);
    dir->blocked = room == 0;
    if (dir->blocked) {
        return PUMP_OK;
    }
    switch (from->ops->peek(from, room, &offer)) {
    case LEG_AGAIN:
        return PUMP_OK;
    case LEG_END:
        dir->ended = true;
        return PUMP_OK;
    case LEG_FAILED:
        return PUMP_SOURCE_FAILED;
    case LEG_OK:
        break;
    }
    size_t taken = 0;
    enum leg_status status = to->ops->write(to, &offer, &taken);
    dir->bytes += taken;
    if (!from->ops->consume(from, &offer, taken)) {
        return PUMP_SOURCE_FAILED;
    }
    if (status == LEG_FAILED) {
        return PUMP_SINK_FAILED;
    }
    dir->blocked = taken < offer.len;
    *more = !dir->blocked;
    return PUMP_OK;
}

static enum pump_status pump(struct relay_direction *dir, struct leg *from, struct leg *to) {
    uint64_t stop = dir->bytes + RELAY_TURN_BYTES;
    bool more = !dir->ended;
    while (more) {
        if (dir->bytes >= stop) {
            from->ops->enough(from);
        }
        enum pump_status status = pump_once(dir, from, to, &more);
        if (status != PUMP_OK) {
            return status;
        }
    }
    if (dir->ended && !dir->finished) {
        enum leg_status status = to->ops->finish(to);
        dir->finished = status == LEG_OK;
        dir->blocked = status == LEG_AGAIN;
        return status == LEG_FAILED ? PUMP_SINK_FAILED : PUMP_OK;
    }
    return PUMP_OK;
}

static enum relay_status flush_both(const struct relay *relay, struct leg *near, struct leg *far) {
    enum leg_status near_flush = near->ops->flush(near);
    if (near_flush == LEG_FAILED) {
        return RELAY_NEAR_FAILED;
    }
    enum leg_status far_flush = far->ops->flush(far);
    if (far_flush == LEG_FAILED) {
        return RELAY_FAR_FAILED;
    }
    bool done = relay->up.finished && relay->down.finished;
    return done && near_flush == LEG_OK && far_flush == LEG_OK ? RELAY_DONE : RELAY_GOES_ON;
}

enum relay_status relay_step(struct relay *relay, struct leg *near, struct leg *far) {
    switch (pump(&relay->down, far, near)) {
    case PUMP_SOURCE_FAILED:
        return RELAY_FAR_FAILED;
    case PUMP_SINK_FAILED:
        return RELAY_NEAR_FAILED;
    case PUMP_OK:
        break;
    }
    switch (pump(&relay->up, near, far)) {
    case PUMP_SOURCE_FAILED:
        return RELAY_NEAR_FAILED;
    case PUMP_SINK_FAILED:
        return RELAY_FAR_FAILED;
    case PUMP_OK:
        break;
    }
    return flush_both(relay, near, far);
}

bool relay_deliver(struct relay_direction *dir, struct leg *from, struct leg *to) {
    bool more = !dir->ended;
    while (more) {
        if (pump_once(dir, from, to, &more) != PUMP_OK) {
            return false;
        }
    }
    return dir->blocked;
}

void relay_arm(const struct relay *relay, struct leg *near, struct leg *far) {
    bool read_near = !relay->up.ended && !relay->up.blocked;
    bool read_far = !relay->down.ended && !relay->down.blocked;
    near->ops->arm(near, read_near, relay->down.blocked);
    far->ops->arm(far, read_far, relay->up.blocked);
}

bool relay_is_half_closed(const struct relay *relay) {
    return relay->up.finished != relay->down.finished;
}
