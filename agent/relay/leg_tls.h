// A leg that is TLS over a socket: `tls: mutual` towards a server that speaks TLS itself.
#ifndef AGENT_RELAY_LEG_TLS_H
#define AGENT_RELAY_LEG_TLS_H

#include <ev.h>

#include "agent/relay/held.h"
#include "agent/relay/leg.h"
#include "agent/tls/tls_link.h"

struct leg_tls {
    struct leg leg; // first: a leg_tls is a leg
    bool done;      // close_notify and FIN are queued
    bool shut;      // the FIN is sent
    struct held held;
    struct tls_link link;
    struct ev_loop *loop;
    void (*wake)(void *arg);
    void *arg;
    ev_io io;
};

// `wake(arg)` is called on the loop when something armed for has happened.
struct leg_tls_setup {
    struct ev_loop *loop;
    struct tls_turn *turn;
    struct tls_stream *stream; // taken
    int fd;                    // taken
    void (*wake)(void *arg);
    void *arg;
};
void leg_tls_init(struct leg_tls *leg, const struct leg_tls_setup *setup);

// Drives the handshake; afterwards arms for what it waits for.
enum tls_status leg_tls_handshake(struct leg_tls *leg);

#endif
