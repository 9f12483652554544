// One unary call over a connected descriptor: a message out, a message and a status back. The
// thread that calls grpc_unary_wait is also gRPC's poller. A channel made from a descriptor never
// reconnects, so it lives as long as the call. The library is initialised by
// certmgr/grpc_stream.h; the two are the client's doors to gRPC core.
//
// One owner and one thread, but grpc_unary_cancel may be called from any while the call lives.
#ifndef CERTMGR_GRPC_UNARY_H
#define CERTMGR_GRPC_UNARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

#define GRPC_UNARY_METADATA_MAX 4
#define GRPC_UNARY_DETAILS_MAX 256

struct grpc_unary_metadata {
    const char *key;   // [a-z0-9._-]
    const char *value; // printable ASCII
};

struct grpc_unary_options { // the strings are copied
    int fd;                 // a connected stream socket; taken in any case
    const char *authority;
    const char *method; // "/Service/Method"
    const struct grpc_unary_metadata *metadata;
    size_t num_metadata;
    size_t response_max; // bytes; a longer answer is RESOURCE_EXHAUSTED
    int64_t timeout_ms;  // after it, DEADLINE_EXCEEDED
};

struct grpc_unary_result {
    int code;                             // enum grpc_code
    char details[GRPC_UNARY_DETAILS_MAX]; // printable ASCII
};

struct grpc_unary;

struct grpc_unary *grpc_unary_start(const struct grpc_unary_options *options, struct span request,
                                    struct err *err) MUST_USE;
// Cancels the call, waits for gRPC to let go of it and of the descriptor, frees.
void grpc_unary_free(struct grpc_unary *call);
OWN_DEFINE(struct grpc_unary, grpc_unary_free)

// Waits for the end. With GRPC_CODE_OK the answer has been appended to `response`.
struct grpc_unary_result grpc_unary_wait(struct grpc_unary *call, struct buf *response);

// Any thread. The call ends soon.
void grpc_unary_cancel(struct grpc_unary *call);

#endif
