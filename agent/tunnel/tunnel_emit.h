// From frames to records: gathers small frames of a turn into one record, and puts a large DATA
// frame into a record of its own without copying it.
#ifndef AGENT_TUNNEL_TUNNEL_EMIT_H
#define AGENT_TUNNEL_TUNNEL_EMIT_H

#include "agent/tunnel/tunnel.h"

// h2_events.emit for a tunnel.
bool tunnel_emit(struct tunnel *tunnel, struct span header, struct span payload);
// Seals what the stage holds, whoever's it is.
void tunnel_emit_seal_stage(struct tunnel_env *env);
// Tries to seal what did not fit before. False: still no room.
bool tunnel_emit_seal_overflow(struct tunnel *tunnel);
// Forgets what the stage holds of a tunnel that ends.
void tunnel_emit_forget(struct tunnel *tunnel);

#endif
