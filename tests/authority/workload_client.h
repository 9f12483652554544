// A well-behaved Workload API client for tests: opens a stream, reads states.
#ifndef TESTS_AUTHORITY_WORKLOAD_CLIENT_H
#define TESTS_AUTHORITY_WORKLOAD_CLIENT_H

#include "certmgr/grpc_stream.h"
#include "certmgr/svid.h"
#include "certmgr/update.h"

// FetchX509SVID or FetchX509Bundles at `target`.
struct grpc_stream *workload_client_svids(const char *target);
struct grpc_stream *workload_client_bundles(const char *target);

// The next message; NULL when the stream has ended. Aborts when nothing comes at all.
struct update *workload_client_next(struct grpc_stream *stream);
struct update *workload_client_next_bundles(struct grpc_stream *stream);
// The status the stream ends with; messages before it are dropped.
int workload_client_status(struct grpc_stream *stream);
// The SVID of a message, validated; aborts when it is not a good one for `spiffe_id`.
struct svid *workload_client_svid(const struct update *update, const char *spiffe_id);

#endif
