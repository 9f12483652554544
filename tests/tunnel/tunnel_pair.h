// Two tunnel environments on one loop, joined by real loopback sockets: what a worker at each end
// would have, without the workers.
#ifndef TESTS_TUNNEL_TUNNEL_PAIR_H
#define TESTS_TUNNEL_TUNNEL_PAIR_H

#include "agent/tunnel/leg_stream.h"
#include "agent/tunnel/pool.h"
#include "agent/tunnel/tunnel.h"
#include "certmgr/identity.h"

#define PKI_NOW_FOR_TUNNELS 1800000000 // Unix seconds at which the test certificates are valid

struct tunnel_side {
    struct tunnel_pair *pair;
    struct tunnel_env env;
    struct tls_turn *turn;
    struct counters counters;
    struct tls_context *context;
    struct tunnel_failure last; // of the last tunnel that ended
    struct peer last_peer;
    int num_opened;
    int num_gone;
};

struct tunnel_pair {
    struct ev_loop *loop;
    ev_prepare prepare;
    ev_io accept_io;
    int listener;
    struct netaddr addr;
    _Atomic int fds_left;
    struct config *config;  // defaults
    struct string_list any; // no names: own trust domain
    struct tunnel_side client;
    struct tunnel_side server;
    struct pool pool; // of the client
    // The server's streams: answered with `answer`, echoing when it is 200.
    int answer;
    struct leg_stream streams[64];
    size_t num_streams;
    char authority[256]; // of the last request
};

// Takes both identities.
struct tunnel_pair *tunnel_pair_new(struct identity *client, struct identity *server);
void tunnel_pair_free(struct tunnel_pair *pair);

// A client tunnel from the pool, on its way or ready.
struct tunnel *tunnel_pair_get(struct tunnel_pair *pair);
// Runs the loop until `*counter` reaches `value`; fails the test after many turns.
void tunnel_pair_run_until(struct tunnel_pair *pair, const int *counter, int value);
// A few turns, for what needs no waiting.
void tunnel_pair_settle(struct tunnel_pair *pair);

#endif
