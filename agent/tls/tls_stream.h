// One TLS connection without I/O: ciphertext in, plaintext out, and back. Records are read from a
// span that the caller feeds and written into the worker's scratch: many with one recv or send.
// BoringSSL does the handshake; after it, in TLS 1.3, our own record layer does the rest and opens
// records where they stand. Not thread-safe; one owner.
#ifndef AGENT_TLS_TLS_STREAM_H
#define AGENT_TLS_TLS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <openssl/base.h>

#include "agent/tls/tls_context.h"
#include "agent/tls/tls_scratch.h"
#include "base/err.h"
#include "base/netaddr.h"
#include "base/span.h"
#include "certmgr/verify.h"

enum tls_status {
    TLS_OK,
    TLS_AGAIN,     // more ciphertext is needed, or (write) the output has no room: flush first
    TLS_EOF,       // close_notify
    TLS_TRUNCATED, // tls_stream_input_ended was called and no close_notify had come
    TLS_FAILED,    // fatal; tls_stream_error says why. An alert may be in the output: flush it
};

// What the peer must prove. Copied by tls_stream_new; the pointers outlive the handshake.
struct tls_expectation {
    // Called with a verified peer; false refuses it (an alert is sent). NULL accepts any.
    bool (*accept)(void *arg, const struct peer *peer);
    void *arg;
    const char *server_name; // TLS_MUTUAL_CLIENT: SNI and DNS name; NULL: verify by SPIFFE ID
    struct span alpn;        // TLS_MUTUAL_CLIENT: offered, in the wire's form; empty: none is
    bool needs_tls_1_3;      // TLS_MUTUAL_CLIENT: nothing older is offered, nor an older session
    // Clients: sessions are resumed with the same address and the same acceptable identities only.
    const struct netaddr *addr; // NULL: no session is resumed or kept
    char *const *peers;
    size_t num_peers;
};
// Takes a reference of `context` until the stream is freed. NULL when memory is short.
struct tls_stream *tls_stream_new(struct tls_context *context, enum tls_use use,
                                  const struct tls_expectation *expect) MUST_USE;
struct tls_foreign; // TLS at the edges: SSL and judgement are somebody else's
struct tls_stream *tls_stream_new_foreign(const struct tls_foreign *foreign) MUST_USE;
void tls_stream_free(struct tls_stream *stream);
OWN_DEFINE(struct tls_stream, tls_stream_free)

// Input. `ciphertext` is borrowed until the turn ends, and opened in place: the caller's bytes are
// overwritten as they are consumed. It replaces what was fed before, so feed what tls_stream_unread
// left first (the caller keeps those bytes, a part of a record at least, between turns).
void tls_stream_feed(struct tls_stream *stream, struct span ciphertext);
struct span tls_stream_unread(const struct tls_stream *stream); // fed, not yet consumed
// The transport has ended: reads give TLS_TRUNCATED once the input is used up without close_notify.
void tls_stream_input_ended(struct tls_stream *stream);

// Output. While a scratch is attached and the backlog is empty, records go to the scratch;
// otherwise to the stream's backlog on the heap. At the end of a turn the caller sends backlog
// first, then the scratch, gives what was not sent back by tls_stream_keep_unsent, and detaches
// (NULL).
void tls_stream_attach(struct tls_stream *stream, struct tls_scratch *scratch);
struct span tls_stream_backlog(const struct tls_stream *stream);
void tls_stream_backlog_sent(struct tls_stream *stream, size_t len);
// `unsent` is copied and the attached scratch is emptied (whoever sent all of it may set its len to
// zero instead). False when memory is short: the stream has failed.
bool tls_stream_keep_unsent(struct tls_stream *stream, struct span unsent) MUST_USE;

// TLS_OK when done (a TLS 1.3 client may then still learn by an alert that it was refused).
enum tls_status tls_stream_handshake(struct tls_stream *stream);
// Reads as many whole records as fit; `*n` bytes on TLS_OK (at least 1). Room of 16384 never
// splits.
enum tls_status tls_stream_read(struct tls_stream *stream, uint8_t *out, size_t cap, size_t *n);

#define TLS_MAX_RUNS 32
struct tls_runs { // plaintext, in order
    struct iovec run[TLS_MAX_RUNS];
    int num;
    size_t len; // in all
};
// Reads without copying: on TLS_OK at least one run, of one record each, in what was fed; valid,
// and the caller's to overwrite with 16 bytes in front of each, until the next feed. Where the
// library does the records it is one run in `room` (at least 16384).
enum tls_status tls_stream_read_runs(struct tls_stream *stream, struct iovec room,
                                     struct tls_runs *out);
// Seals up to `len` bytes into records of 16384; `*n` (may be short) on TLS_OK. TLS_AGAIN when the
// scratch has no room for another record, or the backlog is over TLS_BACKLOG_MAX.
enum tls_status tls_stream_write(struct tls_stream *stream, const uint8_t *bytes, size_t len,
                                 size_t *n);
// For tests: a key of TLS 1.3 ends after this many records, else 2^23 (AES-GCM's limit: 2^24.5).
void tls_stream_set_key_update_after(struct tls_stream *stream, uint64_t num_records);
// SSL_read and SSL_write do the records of this stream; call it before the first of them. For
// tests: the library is what our record layer is compared with.
void tls_stream_keep_library(struct tls_stream *stream);
// Queues close_notify (once); nothing is written afterwards, reading goes on.
void tls_stream_close_notify(struct tls_stream *stream);

// Why the handshake or a read failed: VERIFY_OK means that it was not our verifier.
enum verify_result tls_stream_refusal(const struct tls_stream *stream);
bool tls_stream_was_not_accepted(const struct tls_stream *stream); // refused by expect.accept
// One sentence: the verifier's details, the alert received (decoded), or the library's reason.
const char *tls_stream_error(const struct tls_stream *stream);
bool tls_stream_got_alert(const struct tls_stream *stream); // fatal: what it means is in the error

// After the handshake. The peer as verified; NULL when nothing was verified.
const struct peer *tls_stream_peer(const struct tls_stream *stream);
struct span tls_stream_leaf(const struct tls_stream *stream); // the peer's, DER; empty: none
struct tls_context *tls_stream_context(const struct tls_stream *stream); // borrowed
// Verifies the peer's stored chain again, against `identity`'s bundles at `now` (Unix seconds).
enum verify_result tls_stream_reverify(const struct tls_stream *stream,
                                       const struct identity *identity, int64_t now,
                                       struct err *err);
bool tls_stream_is_resumed(const struct tls_stream *stream);     // no certificate crossed the wire
const char *tls_stream_version(const struct tls_stream *stream); // "TLSv1.3"; static; "" before
const char *tls_stream_cipher(const struct tls_stream *stream);  // "TLS_AES_128_GCM_SHA256"
const char *tls_stream_aead(const struct tls_stream *stream);  // "boringssl", "ipsec-mb"; "" before
const char *tls_stream_group(const struct tls_stream *stream); // "X25519"; "" before

#endif
