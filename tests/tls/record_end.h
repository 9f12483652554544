// Our record layer with a peer that seals whatever it is told to, for tests and fuzzing: records of
// any type, padding and length, under keys that both know.
#ifndef TESTS_TLS_RECORD_END_H
#define TESTS_TLS_RECORD_END_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/tls/tls_record.h"
#include "base/buf.h"

#define RECORD_ALERT 21
#define RECORD_HANDSHAKE 22
#define RECORD_DATA 23

struct record_end {
    struct tls_bio bio;
    struct tls_record *layer;
    struct record_key sealing; // the peer's, of what the layer reads
    struct record_key opening; // of what the layer writes
    struct buf wire;           // records on their way to the layer
    int num_tickets;
    bool refuses_tickets;
};

// What the layer sealed, as the peer sees it.
struct record_seen {
    uint8_t type; // 0: nothing
    size_t len;
    uint8_t bytes[TLS_RECORD_PLAIN_MAX];
};

void record_end_init(struct record_end *end, enum aead_suite suite, bool is_client);
void record_end_fini(struct record_end *end);

// Puts a record on the wire: `bytes`, their type, and zeros behind it.
void record_end_put(struct record_end *end, uint8_t type, struct span bytes, size_t num_zeros);
void record_end_put_text(struct record_end *end, uint8_t type, const char *text);
// A key update; the peer seals with the next key then.
void record_end_put_key_update(struct record_end *end, uint8_t request);

// One read of the layer, with at most `len` of the bytes on the wire in sight.
enum tls_record_status record_end_read(struct record_end *end, size_t len, struct span *plain);
// Takes the next record of those that the layer wrote. A key update changes the peer's key too.
void record_end_see(struct record_end *end, struct record_seen *out);

#endif
