// Moves bytes between two legs, both ways, with half-close and back-pressure: a direction reads
// only as fast as its sink takes. No I/O of its own and no state but what a direction has done.
#ifndef AGENT_RELAY_RELAY_H
#define AGENT_RELAY_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/relay/leg.h"

// Bytes that one direction may move in one turn before others get theirs.
#define RELAY_TURN_BYTES (1024 * 1024)

struct relay_direction {
    uint64_t bytes; // moved
    bool ended;     // the source has finished
    bool finished;  // the FIN was passed on
    bool blocked;   // the sink has no room: wake for its writability, not for more to read
};

enum relay_status {
    RELAY_GOES_ON,
    RELAY_DONE,        // both directions finished and flushed
    RELAY_NEAR_FAILED, // near->failure says why
    RELAY_FAR_FAILED,
};

struct relay {
    struct relay_direction up;   // near to far
    struct relay_direction down; // far to near
};

// One turn: moves what can be moved. After it, relay_arm. A leg that fails stops the relay at once;
// what it had offered before was moved as far as the other leg took it.
enum relay_status relay_step(struct relay *relay, struct leg *near, struct leg *far);

// `from` has failed: goes on delivering what it had offered before. True while something is left
// that `to` has no room for.
bool relay_deliver(struct relay_direction *dir, struct leg *from, struct leg *to);
// Tells the two legs what to wake for, from the state alone.
void relay_arm(const struct relay *relay, struct leg *near, struct leg *far);
// True when exactly one direction has finished.
bool relay_is_half_closed(const struct relay *relay);

#endif
