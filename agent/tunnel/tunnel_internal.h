// What the files of a tunnel share among themselves; nobody else includes it.
#ifndef AGENT_TUNNEL_TUNNEL_INTERNAL_H
#define AGENT_TUNNEL_TUNNEL_INTERNAL_H

#include "agent/tunnel/tunnel.h"

extern const struct h2_events TUNNEL_EVENTS; // tunnel_events.c

// Adds to the counter of the tunnel's direction.
void tunnel_count(struct tunnel *tunnel, enum metric outbound, enum metric inbound, int64_t by);
void tunnel_leave_handshaking(struct tunnel *tunnel);

// Retiring and without streams: it ends when its output is delivered.
bool tunnel_is_finished(const struct tunnel *tunnel);

// Whether a connect that failed so says that nobody is there. Trouble of our own (local ports, a
// local filter) says nothing about the peer, and whoever resets has answered (an agent without an
// identity does): neither may open the way to plaintext.
bool tunnel_means_unreachable(int errnum);

// tunnel_step.c
void tunnel_arm(struct tunnel *tunnel);
bool tunnel_start_tls(struct tunnel *tunnel); // on the connected socket; false: memory is short
void tunnel_on_io(struct ev_loop *loop, ev_io *io, int events);
void tunnel_on_timer(struct ev_loop *loop, ev_timer *timer, int events);

#endif
