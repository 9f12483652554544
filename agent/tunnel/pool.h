// The client tunnels of one worker, by whom they lead to: (peer address, acceptable identities, own
// identity): struct tunnel_target. A new application connection costs a stream, not a handshake.
#ifndef AGENT_TUNNEL_POOL_H
#define AGENT_TUNNEL_POOL_H

#include "agent/tunnel/tunnel.h"

#define POOL_BUCKETS 256
#define POOL_MAX_PER_KEY 16  // tunnels to one peer; more only when the others are full
#define POOL_MAX_CONGESTED 4 // opened because the others are congested

struct pool {
    struct tunnel_env *env;
    struct list buckets[POOL_BUCKETS];
};

void pool_init(struct pool *pool, struct tunnel_env *env);

// The tunnel usable at `now_s` (Unix seconds) in which a new stream waits least, or one on its way
// (tunnel_wait for it), or a new one. One attempt per key at a time. When all are congested another
// one is opened beside them. NULL: `failure` says why. `*reused` when it was there.
struct tunnel *pool_get(struct pool *pool, const struct tunnel_target *target, int64_t now_s,
                        bool *reused, struct tunnel_failure *failure);

#endif
