// The SPIFFE Workload API as a source: FetchX509SVID on gRPC core, in its own thread, reconnecting
// as SPIFFE_Workload_API.md and the codes in reference say (identity.md 1.3): UNAVAILABLE and
// stream ends are retried with backoff and jitter (at most 30 s), PERMISSION_DENIED withdraws and
// is retried, INVALID_ARGUMENT and UNIMPLEMENTED end it.
#ifndef CERTMGR_SOURCE_WORKLOAD_H
#define CERTMGR_SOURCE_WORKLOAD_H

#include "certmgr/source.h"

// A SPIFFE endpoint address: "unix:///absolute/path" or "tcp://IP:port" (identity.md 1.2).
bool source_workload_endpoint_check(struct span endpoint, struct err *err) MUST_USE;

// Starts the thread. `sink` is borrowed and outlives the source. NULL with the sentence on error.
struct source *source_workload_new(const char *endpoint, struct source_sink *sink,
                                   struct err *err) MUST_USE;

#endif
