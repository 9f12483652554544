// Two TLS streams back to back in memory, for tests: bytes in flight are kept per direction and
// delivered in pieces of a chosen or random size, sent whole or in random parts.
#ifndef TESTS_TLS_TLS_PAIR_H
#define TESTS_TLS_TLS_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/tls/tls_stream.h"
#include "base/buf.h"

struct tls_side {
    struct tls_stream *stream;   // owned
    struct buf in;               // ciphertext on its way to this side
    struct tls_scratch *scratch; // owned; NULL: the stream uses its backlog alone
    size_t num_fed;              // in this turn
    size_t num_unread;           // of it, left by the last turn
    enum tls_status handshake;
};

struct tls_pair {
    struct tls_side client;
    struct tls_side server;
    uint64_t random;   // state
    size_t chunk;      // most new bytes delivered at a time
    bool chunk_random; // 1 to chunk
    bool send_in_parts;
};

struct tls_pair_options {
    struct tls_context *client;
    struct tls_context *server;
    enum tls_use client_use; // TLS_MESH_CLIENT by default
    struct tls_expectation client_expects;
    struct tls_expectation server_expects;
    bool no_scratch;
};

void tls_pair_init(struct tls_pair *pair, const struct tls_pair_options *options);
void tls_pair_fini(struct tls_pair *pair);

uint64_t tls_pair_random(struct tls_pair *pair);
// Seeds from $PAVISE_TEST_SEED or the clock, and prints the seed.
void tls_pair_seed(struct tls_pair *pair);

// Attaches the scratch and feeds the next piece / takes the rest back and sends to `peer`.
void tls_side_begin(struct tls_pair *pair, struct tls_side *side);
void tls_side_end(struct tls_pair *pair, struct tls_side *side);

// Runs both handshakes until nothing moves; the outcome is in each side's `handshake`.
void tls_pair_handshake(struct tls_pair *pair);
// One turn with a read of at most `cap` bytes.
enum tls_status tls_side_read(struct tls_pair *pair, struct tls_side *side, struct span room,
                              size_t *n);
// One turn with a write.
enum tls_status tls_side_write(struct tls_pair *pair, struct tls_side *side, struct span bytes,
                               size_t *n);
// Reads once whatever is there and throws it away: so a client hears of its refusal.
enum tls_status tls_side_drain(struct tls_pair *pair, struct tls_side *side);

#endif
