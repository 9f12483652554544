#include "tests/tls/tls_pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"

static void side_init(struct tls_side *side, bool no_scratch) {
    *side = (struct tls_side){.handshake = TLS_AGAIN};
    if (!no_scratch) {
        side->scratch = calloc(1, sizeof(*side->scratch));
        CHECK(side->scratch != NULL);
    }
}

void tls_pair_init(struct tls_pair *pair, const struct tls_pair_options *options) {
    *pair = (struct tls_pair){.chunk = SIZE_MAX, .random = 1};
    side_init(&pair->client, options->no_scratch);
    side_init(&pair->server, options->no_scratch);
    pair->client.stream =
        tls_stream_new(options->client, options->client_use, &options->client_expects);
    pair->server.stream =
        tls_stream_new(options->server, TLS_MESH_SERVER, &options->server_expects);
    CHECK(pair->client.stream != NULL && pair->server.stream != NULL);
}

static void side_fini(struct tls_side *side) {
    tls_stream_free(side->stream);
    buf_fini(&side->in);
    free(side->scratch);
}

void tls_pair_fini(struct tls_pair *pair) {
    side_fini(&pair->client);
    side_fini(&pair->server);
}

// splitmix64
uint64_t tls_pair_random(struct tls_pair *pair) {
    uint64_t z = pair->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void tls_pair_seed(struct tls_pair *pair) {
    const char *given = getenv("PAVISE_TEST_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    pair->random = given != NULL ? strtoull(given, NULL, 0)
                                 : (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 30;
    printf("PAVISE_TEST_SEED=%#llx\n", (unsigned long long)pair->random);
}

void tls_side_begin(struct tls_pair *pair, struct tls_side *side) {
    size_t len = pair->chunk;
    if (pair->chunk_random) {
        len = 1 + tls_pair_random(pair) % pair->chunk;
    }
    struct span in = buf_span(&side->in);
    // What was fed before and is not consumed (a part of a record) comes again, and more behind it.
    size_t again = side->num_unread;
    in.len = in.len - again < len ? in.len : again + len;
    side->num_fed = in.len;
    tls_stream_feed(side->stream, in);
    tls_stream_attach(side->stream, side->scratch);
}

static void send_some(struct tls_side *side, struct tls_side *peer, size_t len) {
    struct span backlog = tls_stream_backlog(side->stream);
    size_t first = len < backlog.len ? len : backlog.len;
    CHECK(buf_append(&peer->in, backlog.ptr, first));
    tls_stream_backlog_sent(side->stream, first);
    if (side->scratch == NULL) {
        return;
    }
    size_t second = len - first;
    CHECK(buf_append(&peer->in, side->scratch->bytes, second));
    CHECK(tls_stream_keep_unsent(
        side->stream, span_of(side->scratch->bytes + second, side->scratch->len - second)));
}

void tls_side_end(struct tls_pair *pair, struct tls_side *side) {
    struct tls_side *peer = side == &pair->client ? &pair->server : &pair->client;
    side->num_unread = tls_stream_unread(side->stream).len;
    buf_consume(&side->in, side->num_fed - side->num_unread);
    size_t len = tls_stream_backlog(side->stream).len;
    len += side->scratch == NULL ? 0 : side->scratch->len;
    if (pair->send_in_parts) {
        len = tls_pair_random(pair) % (len + 1);
    }
    send_some(side, peer, len);
    tls_stream_attach(side->stream, NULL);
}

static void handshake_step(struct tls_pair *pair, struct tls_side *side) {
    tls_side_begin(pair, side);
    if (side->handshake == TLS_AGAIN) {
        side->handshake = tls_stream_handshake(side->stream);
    }
    tls_side_end(pair, side);
}

static bool is_settled(const struct tls_side *side) {
    return side->handshake != TLS_AGAIN && tls_stream_backlog(side->stream).len == 0;
}

void tls_pair_handshake(struct tls_pair *pair) {
    for (int i = 0; i < 100000; i++) {
        handshake_step(pair, &pair->client);
        handshake_step(pair, &pair->server);
        if (is_settled(&pair->client) && is_settled(&pair->server)) {
            return;
        }
    }
}

enum tls_status tls_side_read(struct tls_pair *pair, struct tls_side *side, struct span room,
                              size_t *n) {
    tls_side_begin(pair, side);
    enum tls_status status =
        tls_stream_read(side->stream, (uint8_t *)(uintptr_t)room.ptr, room.len, n);
    tls_side_end(pair, side);
    return status;
}

enum tls_status tls_side_write(struct tls_pair *pair, struct tls_side *side, struct span bytes,
                               size_t *n) {
    tls_side_begin(pair, side);
    enum tls_status status = tls_stream_write(side->stream, bytes.ptr, bytes.len, n);
    tls_side_end(pair, side);
    return status;
}

enum tls_status tls_side_drain(struct tls_pair *pair, struct tls_side *side) {
    uint8_t out[16384];
    size_t n = 0;
    return tls_side_read(pair, side, span_of(out, sizeof(out)), &n);
}
