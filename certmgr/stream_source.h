// What sources that listen to a gRPC stream have in common: a thread that opens the stream, reads
// until it ends, decides, pauses and opens it again (workload_retry.h), and the wishes of the
// owner (refresh, free). What is said on the stream is the protocol's business.
#ifndef CERTMGR_STREAM_SOURCE_H
#define CERTMGR_STREAM_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"
#include "certmgr/source.h"
#include "certmgr/update.h"
#include "certmgr/workload_retry.h"

struct stream_source;

// Every function is called on the source's thread.
struct stream_protocol {
    const char *kind;         // of the source: "workloadApi"
    const char *method;       // "/Service/Method"
    const char *metadata_key; // NULL: none
    const char *metadata_value;
    size_t message_max; // bytes
    enum workload_service service;
    bool is_bidi;
    // A stream begins: appends our first message.
    bool (*begin)(void *arg, struct stream_source *source, struct buf *request, struct err *err);
    // A message has come. Appends what is to be answered (is_bidi only; nothing: no answer). True
    // when the message was a good one: then the backoff starts over.
    bool (*message)(void *arg, struct stream_source *source, struct span message,
                    struct buf *answer);
    // How long to wait for the next message before `quiet` is asked; negative: for ever.
    int64_t (*patience_ms)(void *arg);
    // Nothing has come for that long. False gives the stream up.
    bool (*quiet)(void *arg, struct stream_source *source);
    // The source has taken the identity back; may be NULL.
    void (*withdrawn)(void *arg);
    void (*free)(void *arg);
};

struct stream_source_options {
    const struct stream_protocol *protocol; // static
    void *arg;                              // of the protocol; becomes the source's
    const char *endpoint;                   // copied; certmgr/endpoint.h says what it looks like
    struct source_sink *sink;               // borrowed
    int connect_ms;                         // connecting, with the HTTP/2 preface
};

// Starts the thread. NULL with the sentence on error; `arg` is freed then too.
struct source *stream_source_new(const struct stream_source_options *options,
                                 struct err *err) MUST_USE;

// For the protocol: what it delivers. After an update comes a report, which wakes the consumer for
// both.
void stream_source_update(struct stream_source *source, struct update *update);
void stream_source_report(struct stream_source *source, enum source_state state,
                          const char *last_error);
const char *stream_source_endpoint(const struct stream_source *source);

#endif
