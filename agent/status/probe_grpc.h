// One call of grpc.health.v1.Health/Check: bytes in, bytes out, no I/O.
// The health port's only door to nghttp2.
#ifndef AGENT_STATUS_PROBE_GRPC_H
#define AGENT_STATUS_PROBE_GRPC_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/own.h"
#include "base/span.h"

enum probe_grpc_state {
    PROBE_GRPC_WAITING,
    PROBE_GRPC_SERVING,
    PROBE_GRPC_NOT_SERVING, // the application has answered anything else
    PROBE_GRPC_BROKEN,      // this is not a gRPC answer
};

struct probe_grpc;

// `service` may be NULL: the server as a whole. NULL when memory is short.
struct probe_grpc *probe_grpc_new(const char *service, const char *authority) MUST_USE;
void probe_grpc_free(struct probe_grpc *call); // accepts NULL
// Appends what is to be sent now. False: memory, or the application does not speak HTTP/2.
bool probe_grpc_send(struct probe_grpc *call, struct buf *out) MUST_USE;
enum probe_grpc_state probe_grpc_feed(struct probe_grpc *call, struct span bytes);

#endif
