// Handshake messages after the handshake (RFC 8446 section 4.6), put together from records: one may
// be in pieces, a record may hold several. Memory exists only while one is incomplete.
// One owner, not thread-safe.
#ifndef AGENT_TLS_RECORD_MESSAGE_H
#define AGENT_TLS_RECORD_MESSAGE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/own.h"
#include "base/span.h"

#define RECORD_MESSAGE_HEADER 4
// Bodies: a client may get tickets, a server nothing but KeyUpdates.
#define RECORD_MESSAGE_MAX_CLIENT 16384
#define RECORD_MESSAGE_MAX_SERVER 1

struct record_message { // zeroed: nothing is incomplete
    struct buf part;
};

enum record_message_status {
    RECORD_MESSAGE_WHOLE,
    RECORD_MESSAGE_PARTIAL, // all bytes are taken; the rest comes with the next record
    RECORD_MESSAGE_TOO_LARGE,
    RECORD_MESSAGE_NO_MEMORY,
};

void record_message_fini(struct record_message *self);

// Takes bytes from the front of `bytes`. A whole message, with its header, is valid until
// record_message_done, which must follow.
enum record_message_status record_message_next(struct record_message *self, struct span *bytes,
                                               bool is_client, struct span *out) MUST_USE;
void record_message_done(struct record_message *self);

bool record_message_is_partial(const struct record_message *self);

#endif
