// A tunnel: HTTP/2 over mutual TLS over TCP (HBONE), either end. It lives on one worker's loop and
// carries that worker's streams. Its owner is the environment's list; it is freed at the end of a
// turn after it has closed, never inside a callback.
#ifndef AGENT_TUNNEL_TUNNEL_H
#define AGENT_TUNNEL_TUNNEL_H

#include <ev.h>

#include "agent/tunnel/tunnel_env.h"
#include "base/buf.h"

#define TUNNEL_CONNECT_MS 1500 // covers one lost SYN
#define TUNNEL_HANDSHAKE_MS 10000
#define TUNNEL_PING_MS 10000
#define TUNNEL_DEAD_MS 20000
#define TUNNEL_DELIVERY_POLL_MS 20
#define TUNNEL_IDLE_MS (5 * 60 * 1000)
#define TUNNEL_CONGESTED_MS 10
#define TUNNEL_ANSWER_MS 10               // how long a 200 waits for the application's first bytes
#define TUNNEL_OVERFLOW_MAX (1024 * 1024) // control frames that a peer does not read

enum tunnel_state {
#define TUNNEL_STATE(id, name) id,
#include "agent/tunnel/tunnel_state.def"
#undef TUNNEL_STATE
};

// Plaintext on its way to HTTP/2: in the link's area, or saved from it.
struct tunnel_reading {
    struct tls_runs runs;
    int next; // the first run that HTTP/2 has not been given
    struct buf saved;
};

struct tunnel {
    struct list_node node;           // env->tunnels or env->dead
    struct list_node pool_node;      // the pool's bucket; clients only
    struct list_node dirty_node;     // env->dirty
    struct list_node settle_node;    // env->settling
    struct list_node handshake_node; // env->handshaking
    struct tunnel_env *env;
    uint64_t id;
    enum direction direction;
    enum tunnel_state state;
    struct netaddr peer_addr;
    struct config *config;           // its peers list is `peers`
    const struct string_list *peers; // client: acceptable identities; empty: own trust domain
    struct tls_context *context;
    int connecting_fd; // -1 once the link has it
    struct tls_link link;
    struct h2_session *session;     // NULL before the handshake has ended
    struct buf overflow;            // sealed before anything else
    struct tunnel_reading *reading; // while it is given to HTTP/2 and the streams
    struct list legs;               // its streams' legs
    struct list touched;            // legs to wake
    struct list waiters;
    ev_io io;
    ev_timer timer;        // the deadline of the state; when ready, the ping
    int64_t opened_at_ms;  // wall clock
    int64_t verified_at_s; // wall clock
    int64_t last_pong_ms;  // monotonic
    int64_t idle_since_ms; // monotonic; 0 while there are streams
    int64_t full_since_ms; // monotonic; 0 while everything that was sealed has left
    uint64_t streams_total;
    bool refused;     // DATA found no room: wake the full legs when there is some
    bool said_goaway; // server: the last stream was named
};

// Starts connecting. NULL: `failure` says why.
struct tunnel *tunnel_connect(struct tunnel_env *env, const struct tunnel_target *target,
                              struct tunnel_failure *failure);
// Takes an accepted `fd` (closed on failure). NULL when memory is short.
struct tunnel *tunnel_accept(struct tunnel_env *env, int fd, const struct netaddr *peer,
                             struct tls_context *context, struct config *config);

void tunnel_wait(struct tunnel *tunnel, struct tunnel_waiter *waiter);
void tunnel_unwait(struct tunnel_waiter *waiter);

// Takes new streams now: ready, with room, nothing expired (Unix seconds).
bool tunnel_is_usable(const struct tunnel *tunnel, int64_t now_s);
// Has not been able to send all it had for a while, with streams on it: one congestion window is
// the limit, and a new stream would wait behind all of them.
bool tunnel_is_congested(const struct tunnel *tunnel);
// Bytes that wait for the socket.
size_t tunnel_num_queued(const struct tunnel *tunnel);
// Nothing of ours is on its way: closing it loses nothing.
bool tunnel_is_delivered(const struct tunnel *tunnel);
// The peer, once verified; else NULL.
const struct peer *tunnel_peer(const struct tunnel *tunnel);
// The first moment (Unix seconds) at which our or the peer's certificate has expired.
int64_t tunnel_not_after(const struct tunnel *tunnel);

// No new streams; closes at the end of the last one. Clients just stop using it, servers tell.
void tunnel_retire(struct tunnel *tunnel);
// Ends it with all its streams.
void tunnel_fail(struct tunnel *tunnel, const struct tunnel_failure *failure);
void tunnel_fail_why(struct tunnel *tunnel, enum close_reason reason, const char *detail);

// There is something to send or to wake before the turn ends.
void tunnel_mark_dirty(struct tunnel *tunnel);
void tunnel_render(const struct tunnel *tunnel, struct tunnel_view *out);

#endif
