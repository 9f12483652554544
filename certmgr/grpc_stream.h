// One streaming call to a gRPC server without TLS (a local socket), as a blocking reader: the
// thread that calls grpc_stream_next is also gRPC's poller. The client says one thing and listens
// (server streaming), or more (`is_bidi`). Each stream has its own channel,
// connection and completion queue, and never reconnects by itself. This is the client's only door
// to gRPC core; it silences gRPC's logging, which would go to standard error.
//
// One owner and one thread, but grpc_stream_cancel may be called from any thread while the stream
// lives. gRPC starts threads of its own: initialise it with every signal blocked, after the last
// fork.
#ifndef CERTMGR_GRPC_STREAM_H
#define CERTMGR_GRPC_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

// Between these two, streams can be opened. They nest. _fini waits until gRPC's threads are gone.
void grpc_stream_library_init(void);
void grpc_stream_library_fini(void);

struct grpc_stream_options {
    const char *target;       // "unix:///path", "ipv4:1.2.3.4:80", "ipv6:[::1]:80"
    const char *method;       // "/Service/Method"
    const char *metadata_key; // NULL: none
    const char *metadata_value;
    bool is_bidi;       // grpc_stream_send may be used: our side stays open
    size_t message_max; // bytes; a longer message ends the stream with RESOURCE_EXHAUSTED
    int connect_ms;     // for connecting and the HTTP/2 preface; at least 100
    int keepalive_ms;   // 0: no pings, which is right for local sockets
};

enum grpc_stream_event {
    GRPC_STREAM_MESSAGE, // `message` holds it
    GRPC_STREAM_TIMEOUT, // nothing came in time
    GRPC_STREAM_ENDED,   // grpc_stream_end says why
};

#define GRPC_STREAM_DETAILS_MAX 256

struct grpc_stream_end {
    int code;                              // enum grpc_code
    bool reached;                          // the server was connected to
    char details[GRPC_STREAM_DETAILS_MAX]; // printable ASCII
};

struct grpc_stream;

// Starts connecting and sends `request` once connected; does not wait. The strings are copied.
struct grpc_stream *grpc_stream_open(const struct grpc_stream_options *options, struct span request,
                                     struct err *err) MUST_USE;
// Cancels the call, waits for gRPC to let go of it, frees.
void grpc_stream_free(struct grpc_stream *stream);
OWN_DEFINE(struct grpc_stream, grpc_stream_free)

// Waits for the next event; a negative timeout is for ever. On GRPC_STREAM_MESSAGE the bytes are
// appended to `message`, and gRPC's own copy is wiped.
enum grpc_stream_event grpc_stream_next(struct grpc_stream *stream, int64_t timeout_ms,
                                        struct buf *message) MUST_USE;

// Sends one more message of a bidirectional stream, or does so as soon as the one before is gone
// (in grpc_stream_next). One message waits at most: a later one takes its place, so a server that
// does not read costs no memory. False when memory is short.
bool grpc_stream_send(struct grpc_stream *stream, struct span message) MUST_USE;

// After GRPC_STREAM_ENDED.
struct grpc_stream_end grpc_stream_end(const struct grpc_stream *stream);

// Any thread. The stream ends soon (CANCELLED, unless it has ended otherwise before).
void grpc_stream_cancel(struct grpc_stream *stream);

#endif
