// A leg that is a plain TCP socket on a libev loop.
#ifndef AGENT_RELAY_LEG_SOCKET_H
#define AGENT_RELAY_LEG_SOCKET_H

#include <ev.h>

#include "agent/relay/held.h"
#include "agent/relay/leg.h"
#include "base/own.h"

// Where sockets are read into: one per worker. Bytes live there only within a turn. The size is 16
// of the frames that a tunnel makes of them (H2_DATA_MAX), so that bulk leaves no small one behind.
#define LEG_SCRATCH_SIZE (16 * (16384 - 9))
struct leg_scratch {
    uint8_t headroom[LEG_HEADROOM];
    uint8_t bytes[LEG_SCRATCH_SIZE];
};

struct leg_socket {
    struct leg leg; // first: a leg_socket is a leg
    int fd;         // owned; -1 after reset and close
    bool drained;   // nothing to read until an event says so
    enum close_reason reset_reason;
    struct held held;
    struct leg_scratch *scratch;
    struct ev_loop *loop;
    void (*wake)(void *arg);
    void *arg;
    ev_io io;
};

// Takes `fd`. `wake(arg)` is called on the loop when something armed for has happened.
// `reset_reason` is the failure when the other end resets. `dialled`: the other end was connected
// to just now and will hardly have spoken first, so that reading waits for an event.
struct leg_socket_setup {
    struct ev_loop *loop;
    struct leg_scratch *scratch;
    int fd;
    bool dialled;
    enum close_reason reset_reason;
    void (*wake)(void *arg);
    void *arg;
};
// Lets the descriptor go, which is then the caller's; the leg is done.
int leg_socket_release(struct leg_socket *leg) MUST_USE;
void leg_socket_init(struct leg_socket *leg, const struct leg_socket_setup *setup);

#endif
