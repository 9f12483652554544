// A leg that is a stream of a tunnel. The tunnel's events only note what came; the owner is woken
// once per read, before the plaintext that its bytes point into is reused.
#ifndef AGENT_TUNNEL_LEG_STREAM_H
#define AGENT_TUNNEL_LEG_STREAM_H

#include "agent/relay/held.h"
#include "agent/relay/leg.h"
#include "agent/tunnel/tunnel.h"

struct leg_owner { // whom to wake
    void (*wake)(void *arg);
    void *arg;
};

struct leg_stream {
    struct leg leg;           // first: a leg_stream is a leg
    struct list_node node;    // tunnel->legs
    struct list_node touched; // tunnel->touched
    struct list_node owed;    // env->owed: 200 has not been submitted yet
    struct tunnel *tunnel;    // NULL once detached
    struct h2_stream *stream; // NULL once the session let go of it
    struct leg_runs *fresh;   // bytes of this turn, not copied yet; NULL between turns; lent
    struct held held;
    int status;      // client: the peer's answer; 0 before
    bool fed;        // DATA came
    bool peer_ended; // END_STREAM came
    bool failed;     // leg.failure says why
    bool refused;    // the peer did not process the stream at all: another tunnel may be tried
    bool full;       // the last write was short
    struct leg_owner owner;
};

// Opens a stream towards `target` on a client tunnel. False when memory is short.
bool leg_stream_open(struct leg_stream *leg, struct tunnel *tunnel, const struct netaddr *target,
                     const struct netaddr *source, struct leg_owner owner) MUST_USE;
// Makes a leg of a server's stream.
void leg_stream_adopt(struct leg_stream *leg, struct tunnel *tunnel, struct h2_stream *stream,
                      struct leg_owner owner);
// Server: 200 opens the stream; anything else ends it and detaches the leg. A peer that has sent
// bytes does not wait for the 200: for such a one it leaves in one record with the application's
// first bytes, or after TUNNEL_ANSWER_MS.
void leg_stream_respond(struct leg_stream *leg, int status);

// h2_events of streams; `arg` is a leg_stream.
void leg_stream_on_status(void *arg, int status);
void leg_stream_on_data(void *arg, struct span bytes);
void leg_stream_on_end(void *arg);
void leg_stream_on_writable(void *arg);
void leg_stream_on_closed(void *arg, uint32_t error, bool clean);

// The end of a turn: 200 to those peers that may be waiting for it.
void leg_stream_answer_early(struct tunnel_env *env);
void leg_stream_on_answer_time(struct ev_loop *loop, ev_timer *timer, int events);

// The tunnel is gone.
void leg_stream_on_lost(struct leg_stream *leg, enum close_reason why);
// Wakes the owners of touched legs, and copies what they did not take of this turn's bytes.
void leg_stream_wake_touched(struct tunnel *tunnel);
// Copies what streams have not taken of this turn's bytes: those are about to be overwritten.
void leg_stream_keep_fresh(struct tunnel *tunnel);
// The tunnel has room again: wakes those that a full output stopped.
void leg_stream_wake_full(struct tunnel *tunnel);

#endif
