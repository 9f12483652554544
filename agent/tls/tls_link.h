// A TLS stream on a socket, with batched I/O: one recv brings many records, one send carries many.
// A worker's links share its scratch areas. At any time one link holds the input area and one the
// output area; a link that needs an area first makes its holder put its bytes away (input) or send
// them (output). So what several streams of a tunnel write in one turn of the loop leaves together,
// when tls_turn_flush ends the turn.
#ifndef AGENT_TLS_TLS_LINK_H
#define AGENT_TLS_TLS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/tls/tls_stream.h"
#include "base/buf.h"

#define TLS_INPUT_SIZE (16 * (5 + 16384 + 17)) // 16 full records, so that bulk comes in whole ones
// Ciphertext kept for a reader that has no room: one recv behind a part of a record.
#define TLS_CARRY_MAX (TLS_INPUT_SIZE + 32 * 1024)
// Bytes in front of each run that tls_link_read_runs gives; the caller may overwrite them.
#define TLS_PLAIN_HEADROOM 16

struct tls_link;

struct tls_turn { // one per worker
    struct tls_link *input_holder;
    struct tls_link *output_holder;
    struct tls_scratch output;
    uint8_t input_headroom[TLS_PLAIN_HEADROOM];
    uint8_t input[TLS_CARRY_MAX + TLS_INPUT_SIZE];
    uint8_t plain_headroom[TLS_PLAIN_HEADROOM];
    uint8_t plain[TLS_INPUT_SIZE]; // what the library decrypted, where it does the records
};

struct tls_link {
    struct tls_stream *stream; // owned
    int fd;                    // owned; -1 once closed
    bool drained;              // the last recv was short
    bool ended;                // recv gave 0
    bool broken;               // a recv failed, or memory is short
    bool unsendable;           // a send failed; what the peer sent before may still be there
    struct tls_turn *turn;
    struct buf carry; // ciphertext between turns
    // The link loses the input area: what the last read gave ends with this call. NULL: no matter.
    void (*displaced)(struct tls_link *link);
};

// Takes `stream` and `fd`.
void tls_link_init(struct tls_link *link, struct tls_turn *turn, struct tls_stream *stream, int fd);
// Closes the socket; the stream stays for what it knows of the peer.
void tls_link_close(struct tls_link *link);
// Closes without a word: what is unsent is dropped. `reset`: with RST.
void tls_link_fini(struct tls_link *link, bool reset);

// Call when an event says that the socket may have more.
void tls_link_wake(struct tls_link *link);

// Takes nothing more from the socket until tls_link_wake; reads go on with what has come.
void tls_link_enough(struct tls_link *link);

// The stream's handshake and reads, with recv as needed. TLS_AGAIN: wait for readable. TLS_OK: the
// last flight waits for what is said next, or for the end of the turn, and leaves with it.
enum tls_status tls_link_handshake(struct tls_link *link);
// Gives as many records as are there, in place: at least one run on TLS_OK. They are valid until
// the next read of this link, or until `displaced` has returned.
enum tls_status tls_link_read_runs(struct tls_link *link, struct tls_runs *out);
// Seals; sends when the scratch is full. `*n` may be short; TLS_AGAIN when nothing was taken.
enum tls_status tls_link_write(struct tls_link *link, const uint8_t *bytes, size_t len, size_t *n);
void tls_link_close_notify(struct tls_link *link);
// Sends what is sealed. TLS_OK: all sent; TLS_AGAIN: wait for writable; TLS_FAILED: broken.
enum tls_status tls_link_flush(struct tls_link *link);
// The same, before a FIN that the caller sends when all is sent: they leave in one packet.
enum tls_status tls_link_flush_last(struct tls_link *link);
// Sealed bytes wait for the socket to become writable.
bool tls_link_wants_write(const struct tls_link *link);

// The end of a turn: sends what the output's holder has.
void tls_turn_flush(struct tls_turn *turn);

#endif
