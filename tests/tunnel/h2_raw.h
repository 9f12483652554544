// Hand-made HTTP/2 frames, and the reading of what a session has sent.
#ifndef TESTS_TUNNEL_H2_RAW_H
#define TESTS_TUNNEL_H2_RAW_H

#include "base/buf.h"
#include "tests/tunnel/h2_pair.h"

enum raw_type {
    RAW_DATA = 0,
    RAW_HEADERS = 1,
    RAW_RST = 3,
    RAW_SETTINGS = 4,
    RAW_PING = 6,
    RAW_GOAWAY = 7,
    RAW_WINDOW = 8,
    RAW_CONTINUATION = 9,
};

#define RAW_END_STREAM 0x1
#define RAW_ACK 0x1
#define RAW_END_HEADERS 0x4

struct raw_frame {
    uint8_t type;
    uint8_t flags;
    uint32_t id;
    struct span payload;
};

void raw_preface(struct buf *out); // the client's magic and empty SETTINGS
void raw_add(struct buf *out, const struct raw_frame *frame);
void raw_add_u32(struct buf *out, uint8_t type, uint32_t id, uint32_t value);
void raw_setting(struct buf *out, uint16_t setting, uint32_t value);
// HPACK literal without indexing.
void raw_field(struct buf *block, const char *name, const char *value);
// HEADERS with :method and :authority, and what `extra` holds. NULL leaves a field out.
void raw_request(struct buf *out, uint32_t id, const char *method, const char *authority);
void raw_status(struct buf *out, uint32_t id, const char *status, bool end);
// Hands `bytes` to the session and empties it, then lets the session send.
bool raw_give(struct end *end, struct buf *bytes);
// The first frame of `type` on `id` that the session sent, taken out of its wire.
bool raw_take(struct end *end, uint8_t type, uint32_t id, struct raw_frame *frame);
uint32_t raw_u32(struct span payload, size_t at);

#define RAW_MAX_CONCURRENT_STREAMS 3
#define RAW_INITIAL_WINDOW_SIZE 4
// A client session whose peer has sent its SETTINGS, with this one in it; its wire is empty.
struct end *raw_client_new(uint16_t setting, uint32_t value);
// Opens stream `id` of it, which is answered with 200; the wire is empty again.
struct flow *raw_open_answered(struct end *end, uint32_t id);

#endif
