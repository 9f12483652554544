// The transport that BoringSSL and our record layer see: they read from a span that the caller
// feeds, and write to the worker's scratch or, when that cannot be, to a backlog on the heap. No
// I/O here. Embedded in its tls_stream; one owner, not thread-safe.
#ifndef AGENT_TLS_TLS_BIO_H
#define AGENT_TLS_TLS_BIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/base.h>

#include "agent/tls/tls_scratch.h"
#include "base/buf.h"
#include "base/own.h"
#include "base/span.h"

struct tls_bio {
    struct span fed;             // not yet consumed; our record layer opens records in it
    struct tls_scratch *scratch; // NULL while detached
    struct buf backlog;    // sent before the scratch: bytes in it mean that the scratch is empty
    bool input_ended;      // the transport has ended; nothing comes after `fed`
    bool saw_end;          // BoringSSL has been told so
    bool is_out_of_memory; // bytes could not be kept: the stream is broken
};

void tls_bio_fini(struct tls_bio *bio);

// A BIO over `bio`, which outlives it. NULL when memory is short.
MUST_USE BIO *tls_bio_open(struct tls_bio *bio);

// May `len` more sealed bytes be produced now? BoringSSL's own messages do not ask.
bool tls_bio_has_room(const struct tls_bio *bio, size_t len);
// Room for `len` bytes that go out behind everything written before; NULL when memory is short.
// What is said without asking for room (handshake flights, alerts) may find the scratch full: then
// everything moves to the backlog, because the backlog is sent first.
MUST_USE uint8_t *tls_bio_reserve(struct tls_bio *bio, size_t len);
// All of the bytes reserved are written.
void tls_bio_commit(struct tls_bio *bio, size_t len);
// Puts bytes behind the backlog and empties the scratch.
MUST_USE bool tls_bio_keep(struct tls_bio *bio, struct span unsent);

#endif
