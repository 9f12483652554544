// One call of a client that sends one message: from its arrival over admission and the request
// message to any number of messages and the status. A message that the caller has not taken yet is
// replaced by the next one, so a caller that does not read costs two messages at most. Belongs to
// its connection and lives on the loop's thread; it frees itself when gRPC has given back every
// tag. Together with rpc_server this is the server's door to gRPC core.
#ifndef AUTHORITY_RPC_STREAM_H
#define AUTHORITY_RPC_STREAM_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/own.h"
#include "base/span.h"
#include "certmgr/grpc_code.h"

struct grpc_completion_queue;
struct grpc_server;
struct rpc_stream;

struct rpc_refusal {
    enum grpc_code code; // GRPC_CODE_OK: let in
    const char *reason;  // static text for the caller
};

// Who serves the calls.
struct rpc_handler {
    // A call has come: its method, caller and metadata are known.
    struct rpc_refusal (*admit)(void *arg, const struct rpc_stream *stream);
    // Its request message has been read: it can be sent to.
    void (*opened)(void *arg, struct rpc_stream *stream);
    // An opened stream has ended, whoever ended it; it must not be used after the return.
    void (*closed)(void *arg, struct rpc_stream *stream);
    void *arg;
};

// The connection a call comes on. Outlives the stream.
struct rpc_stream_host {
    struct grpc_server *server;
    struct grpc_completion_queue *queue;
    const struct rpc_handler *handler;
    uid_t uid;                   // of the connection's other end
    void (*accepted)(void *arg); // a call has taken the stream that waited
    void (*freed)(void *arg);    // a stream is gone; the last thing it does
    void *arg;
};

// Waits for the connection's next call. False when memory is short.
bool rpc_stream_listen(const struct rpc_stream_host *host) MUST_USE;

uid_t rpc_stream_uid(const struct rpc_stream *stream);
struct span rpc_stream_method(const struct rpc_stream *stream); // "/Service/Method"
// Whether the metadata has `key` exactly once and with exactly this value.
bool rpc_stream_has_metadata(const struct rpc_stream *stream, const char *key, const char *value);

// The value of `key`, borrowed. False unless the metadata has it exactly once.
bool rpc_stream_metadata(const struct rpc_stream *stream, const char *key, struct span *value);
// Appends the request message; only while the handler's `opened` runs. False when memory is short.
bool rpc_stream_request(const struct rpc_stream *stream, struct buf *out) MUST_USE;

// The handler's own pointer.
void rpc_stream_set_data(struct rpc_stream *stream, void *data);
void *rpc_stream_data(const struct rpc_stream *stream);

// Sends a copy of `message`, or keeps it until the one before has been taken.
void rpc_stream_send(struct rpc_stream *stream, struct span message);
// Ends the call with a status; what has not been sent yet is dropped. `reason` is static text.
void rpc_stream_finish(struct rpc_stream *stream, enum grpc_code code, const char *reason);

#endif
