// One side of a connection: something that bytes come from and go to. A plain socket, TLS over a
// socket and a stream of a tunnel are legs; the relay moves bytes between two of them and knows
// nothing else. Data path: outcomes are enums, nothing is allocated while bytes flow freely.
#ifndef AGENT_RELAY_LEG_H
#define AGENT_RELAY_LEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "agent/observe/observe.h"

enum leg_status {
    LEG_OK,
    LEG_AGAIN,  // nothing now (peek), or no room now (write, flush)
    LEG_END,    // the other end finished: FIN, END_STREAM, close_notify
    LEG_FAILED, // the leg is dead; its `failure` says why
};

// At least this many bytes before each run of bytes that peek gives may be overwritten by the sink
// once it was asked to write the run: a tunnel puts its frame header there.
#define LEG_HEADROOM 16
#define LEG_MAX_RUNS 32
#define LEG_ROOM_UNKNOWN SIZE_MAX

struct leg_runs { // bytes on offer, in order
    struct iovec run[LEG_MAX_RUNS];
    int num;
    size_t len; // in all
};

struct leg;

struct leg_ops {
    // Offers what can be read now, LEG_OK with at least one byte. Valid until consume, which must
    // follow before any other leg is asked for bytes. A plain socket is asked for `most` (> 0)
    // bytes at most; what a leg already has is offered as it is.
    enum leg_status (*peek)(struct leg *leg, size_t most, struct leg_runs *out);
    // Takes the first `len` bytes of the offer; the leg keeps the rest for the next peek.
    // False: memory is short, the leg is dead.
    bool (*consume)(struct leg *leg, const struct leg_runs *offer, size_t len);
    // This turn has had its share: nothing more is taken from the kernel until arm. What the leg
    // already has is still offered, because no event would announce it again.
    void (*enough)(struct leg *leg);
    // Writes from the front of `runs`; `*taken` may be short: LEG_AGAIN then.
    enum leg_status (*write)(struct leg *leg, const struct leg_runs *runs, size_t *taken);
    // How much write would take now, so that the relay does not read what it would have to hold. 0:
    // nothing, and the owner is woken when that changes. LEG_ROOM_UNKNOWN, or NULL in place of the
    // function: only writing tells.
    size_t (*room)(struct leg *leg);
    // Our FIN, after everything written.
    enum leg_status (*finish)(struct leg *leg);
    // LEG_OK when nothing that was written is still held by us.
    enum leg_status (*flush)(struct leg *leg);
    // What to wake the owner for.
    void (*arm)(struct leg *leg, bool readable, bool writable);
    // Ends abruptly: RST, RST_STREAM. Lets go of what it holds.
    void (*reset)(struct leg *leg);
    // Lets go in order, after finish and flush; also of a dead leg. Idempotent.
    void (*close)(struct leg *leg);
    // Whether the connection was reset while nobody listened: a leg that is not armed for reading
    // hears no RST. Before our FIN only (after it, a connection may have closed in order).
    bool (*was_reset)(struct leg *leg);
    // Bytes written that the other end's kernel has not acknowledged; 0 when unknown.
    size_t (*unacknowledged)(const struct leg *leg);
    // From now on probes a silent peer: after `idle_s` without a byte, then every `interval_s`.
    void (*keepalive)(struct leg *leg, int idle_s, int interval_s);
};

struct leg {
    const struct leg_ops *ops;
    enum close_reason failure; // after LEG_FAILED
};

static inline enum leg_status leg_fail(struct leg *leg, enum close_reason why) {
    leg->failure = why;
    return LEG_FAILED;
}

#endif
