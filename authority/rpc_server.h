// A gRPC server for connected local sockets that knows who is at the other end of each. gRPC core
// does not say which connection a call came on, so every connection has a gRPC server of its own
// and a call's caller is the caller of its server: nothing is ever looked up by descriptor number.
//
// gRPC's completion queue is polled by a thread of this module; everything else, the handler
// included, runs on the thread that calls rpc_server_process.
#ifndef AUTHORITY_RPC_SERVER_H
#define AUTHORITY_RPC_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "authority/rpc_stream.h"
#include "base/err.h"

struct rpc_limits {
    unsigned connections;
    unsigned connections_per_uid;
    unsigned streams_per_connection;
    int idle_ms;        // a connection without a stream is closed after this long
    size_t request_max; // bytes of a request message
};

#define RPC_UID_NONE ((uid_t)-1) // nobody has it

struct rpc_server;

// Starts gRPC and the thread; silences gRPC's own logging. The handler is borrowed and outlives the
// server. NULL with the sentence on error.
struct rpc_server *rpc_server_new(struct rpc_limits limits, const struct rpc_handler *handler,
                                  struct err *err) MUST_USE;
// Ends every connection (the handler hears of each opened stream's end), then stops gRPC.
void rpc_server_free(struct rpc_server *server);
OWN_DEFINE(struct rpc_server, rpc_server_free)

// Readable when rpc_server_process has something to do. Borrowed.
int rpc_server_fd(const struct rpc_server *server);
void rpc_server_process(struct rpc_server *server);

// Serves a connected, non-blocking socket, which is taken in any case. `uid` is who is at the other
// end, where the system tells: RPC_UID_NONE for callers that are known otherwise. False with the
// sentence when a limit is reached or the system refuses.
bool rpc_server_add(struct rpc_server *server, int fd, uid_t uid, struct err *err) MUST_USE;

#endif
