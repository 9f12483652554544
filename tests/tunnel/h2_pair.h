// Two sessions back to back in memory, or one session and hand-made frames. Streams ("flows") send
// and check a pattern that depends on the offset, so a lost, doubled or moved byte is seen.
#ifndef TESTS_TUNNEL_H2_PAIR_H
#define TESTS_TUNNEL_H2_PAIR_H

#include "agent/tunnel/h2.h"
#include "base/buf.h"

#define PAIR_MAX_FLOWS 2200

struct end;

struct flow {
    struct end *end;
    struct h2_stream *stream; // NULL once closed
    uint8_t sends;            // pattern of what we send
    uint8_t expects;          // pattern of what we receive
    int status;
    int num_ends;
    int num_closed;
    int num_writable;
    uint32_t error;
    bool clean;
    bool stalled; // consumes nothing
    bool lazy;    // consumes at times
    bool ends_after;
    size_t to_send;
    size_t sent;
    size_t received;
    size_t consumed;
};

struct end {
    struct h2_session *session;
    struct buf wire; // towards the peer
    struct end *peer;
    struct flow flows[PAIR_MAX_FLOWS];
    size_t num_flows;
    size_t data_emitted; // payload bytes
    int refuse_percent;  // of the DATA frames
    bool refuse_control;
    int answer; // server: to each request; 0: none
    size_t answer_bytes;
    bool answer_lazy;
    bool answer_stalled;
    int num_requests;
    bool is_connect;
    char method[32];
    char authority[256];
    int num_ready;
    int num_goaway;
    int num_pong;
    uint32_t goaway_error;
    void (*on_request)(struct end *end, struct flow *flow); // besides the above
    void (*on_flow)(struct flow *flow, char event);         // 's'tatus, 'd'ata, 'e'nd, 'w', 'c'
};

struct pair {
    struct end client;
    struct end server;
    size_t max_chunk; // 0: everything at once
};

// Prints the seed of the random choices, which PAIR_SEED sets.
struct pair *pair_new(void);
void pair_free(struct pair *pair);
struct flow *pair_open(struct pair *pair, size_t to_send, bool ends_after);
// Carries frames until nothing moves any more. False: a session broke.
bool pair_run(struct pair *pair);
bool pair_deliver(struct end *from, size_t max_chunk);
unsigned pair_random(unsigned below);

// One end alone.
struct end *end_new(bool server);
void end_free(struct end *end);
// Adds a client's flow, with a pattern of its own.
struct flow *end_open(struct end *end, const char *authority);
// Writes as much as goes; sends FIN after all.
void flow_write(struct flow *flow);
// Writes `len` bytes of the pattern once; the result is what was taken.
size_t flow_write_some(struct flow *flow, size_t len);
void flow_consume_all(struct flow *flow);

#endif
