// What the tunnels of one worker share, and whom they tell.
#ifndef AGENT_TUNNEL_TUNNEL_ENV_H
#define AGENT_TUNNEL_TUNNEL_ENV_H

#include <ev.h>

#include "agent/config/config.h"
#include "agent/observe/view.h"
#include "agent/relay/leg.h"
#include "agent/tls/tls_link.h"
#include "agent/tunnel/h2.h"
#include "base/list.h"

struct tunnel;

// Why a tunnel could not be had, or ended.
struct tunnel_failure {
    enum close_reason reason;
    bool unreachable; // nobody answers on the tunnel port: the peer may not be in the mesh
    char detail[256]; // a sentence
};

// Whom a client tunnel leads to, and as whom.
struct tunnel_target {
    struct netaddr addr;             // of the tunnel port
    struct tls_context *context;     // our identity
    struct config *config;           // owns `peers`
    const struct string_list *peers; // acceptable identities; empty: own trust domain
};

// Someone who waits for a tunnel to become ready. Embedded in the waiting object.
struct tunnel_waiter {
    struct list_node node;
    // `failure` is NULL when the tunnel is ready. The waiter is in no list any more.
    void (*done)(struct tunnel_waiter *waiter, struct tunnel *tunnel,
                 const struct tunnel_failure *failure);
};

#define TUNNEL_RUNS 8

struct tunnel_env {
    struct ev_loop *loop;
    struct tls_turn *turn;
    struct counters *counters;
    _Atomic int *fds_left;   // of the process: one less for each tunnel
    struct list tunnels;     // all that are not dead
    struct list dirty;       // with frames to send or streams to wake
    struct list settling;    // whose output was flushed in this turn
    struct list dead;        // to be freed at the end of the turn
    struct list handshaking; // server side, oldest first
    struct list owed;        // streams' legs whose 200 waits for the application's first bytes
    ev_timer answer;         // not for long
    size_t num_handshaking;
    uint64_t next_id;
    uint64_t id_step;
    // Lent to streams for the time of a turn; more than these come from the heap.
    struct leg_runs runs[TUNNEL_RUNS];
    bool runs_lent[TUNNEL_RUNS];
    struct tunnel *stage_holder; // whose frames are in `stage`
    size_t stage_len;
    uint8_t stage[16384]; // one record under construction
    void *arg;
    // Server: a request came. Answer it, or make a stream leg of it.
    void (*request)(void *arg, struct tunnel *tunnel, struct h2_stream *stream,
                    const struct h2_request *request);
    void (*opened)(void *arg, struct tunnel *tunnel); // the peer is verified and speaks HTTP/2
    void (*gone)(void *arg, struct tunnel *tunnel, const struct tunnel_failure *failure);
};

void tunnel_env_init(struct tunnel_env *env);
// The end of a turn: wakes streams, sends frames, frees the dead.
void tunnel_env_end_turn(struct tunnel_env *env);

#endif
