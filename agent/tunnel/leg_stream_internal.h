// What the two files of a stream leg share; nobody else includes it.
#ifndef AGENT_TUNNEL_LEG_STREAM_INTERNAL_H
#define AGENT_TUNNEL_LEG_STREAM_INTERNAL_H

#include "agent/tunnel/leg_stream.h"

// Submits a 200 that is still owed: something is about to follow it.
void leg_stream_answer_owed(struct leg_stream *self);
// Lets go of stream and tunnel.
void leg_stream_detach(struct leg_stream *self);

#endif
