// The record layer of TLS 1.3 after the handshake, ours instead of BoringSSL's (RFC 8446 section 5
// and 4.6): records of application data, alerts, KeyUpdates both ways, tickets. It opens records in
// place, in what its tls_bio was fed, and seals into the bio's output. No I/O, and nothing is
// allocated while data flows. docs/decisions/0008-own-record-layer.md says why.
// One owner, not thread-safe.
#ifndef AGENT_TLS_TLS_RECORD_H
#define AGENT_TLS_TLS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/tls/record_key.h"
#include "agent/tls/tls_bio.h"
#include "agent/tls/traffic_secrets.h"
#include "base/buf.h"
#include "base/own.h"
#include "base/span.h"

#define TLS_RECORD_PLAIN_MAX 16384
// A record with its header; TLS 1.3 allows 256 bytes more than the plaintext.
#define TLS_RECORD_MAX (5 + TLS_RECORD_PLAIN_MAX + 256)
// AES-GCM is safe for 2^24.5 full records with one key.
#define TLS_RECORD_UPDATE_AFTER (UINT64_C(1) << 23)

enum tls_record_status {
    TLS_RECORD_OK,
    TLS_RECORD_AGAIN,  // no whole record is there
    TLS_RECORD_EOF,    // close_notify
    TLS_RECORD_FAILED, // for good; tls_record_why
    TLS_RECORD_NO_MEMORY,
};

struct tls_record;

struct tls_record_setup {
    struct tls_bio *bio; // borrowed, outlives the layer
    enum aead_suite suite;
    bool is_client;
    uint64_t update_after; // records until our own KeyUpdate
    // Clients: a NewSessionTicket came, whole with its header. False: it is malformed. Must not
    // call the layer back.
    bool (*ticket)(void *arg, struct span message);
    void *arg;
};

// Goes on where the library stopped: with its secrets, and with the record that follows.
struct tls_record *tls_record_new(const struct tls_record_setup *setup,
                                  const struct traffic_secrets *secrets) MUST_USE;
// Wipes all keys.
void tls_record_free(struct tls_record *layer);
OWN_DEFINE(struct tls_record, tls_record_free)

// Opens the next record with application data; `plain` (at least a byte) stands in what was fed.
// What is not application data is dealt with. A fatal alert is queued where the peer is at fault.
enum tls_record_status tls_record_read(struct tls_record *layer, struct span *plain);

// Seals one record of up to TLS_RECORD_PLAIN_MAX bytes, which do not overlap the output; KeyUpdates
// that are due go before it. TLS_RECORD_OK, _NO_MEMORY, or _FAILED.
enum tls_record_status tls_record_write(struct tls_record *layer, struct span plain);
// Queues close_notify; nothing may be written afterwards.
enum tls_record_status tls_record_close(struct tls_record *layer);

void tls_record_set_update_after(struct tls_record *layer, uint64_t num_records);

// Whose AEAD is at work, by aead_ops.name; the faster one if either direction has it.
const char *tls_record_aead(const struct tls_record *layer);

// After TLS_RECORD_FAILED: a sentence (static text), or the code of a fatal alert that came.
struct tls_record_failure {
    const char *sentence; // NULL: it was `alert`
    uint8_t alert;
};
struct tls_record_failure tls_record_why(const struct tls_record *layer);

#endif
