// The SPIFFE Workload API as a source: FetchX509SVID in a thread of its own (stream_source.h),
// reconnecting as the specification says (SPIFFE Workload API, section 5):
// UNAVAILABLE and stream ends are retried with backoff and jitter (at most 30 s; at most 1 s while
// nobody listens), PERMISSION_DENIED withdraws and is retried, INVALID_ARGUMENT and UNIMPLEMENTED
// end it until source_refresh. A response without SVIDs withdraws too. A message that does not
// decode is reported and otherwise ignored. FetchX509Bundles is not asked: its bundles and CRLs
// come in each FetchX509SVID response too, and in one message with the SVIDs, so that there is
// never a moment with one and without the other.
#ifndef CERTMGR_SOURCE_WORKLOAD_H
#define CERTMGR_SOURCE_WORKLOAD_H

#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "certmgr/source.h"

// How long the server may take; the defaults are for the product, others for tests.
struct source_workload_timing {
    int connect_ms;           // connecting, with the HTTP/2 preface
    int64_t first_message_ms; // from the attempt's start to the first message
};
#define SOURCE_WORKLOAD_TIMING_DEFAULT                                                             \
    ((struct source_workload_timing){.connect_ms = 5000, .first_message_ms = 30000})

// Starts the thread. `endpoint` is "unix:///absolute/path" or "tcp://IP:port" (certmgr/endpoint.h).
// `sink` is borrowed and outlives the source. NULL with the sentence on error.
struct source *source_workload_new(const char *endpoint, struct source_sink *sink,
                                   struct err *err) MUST_USE;
struct source *source_workload_new_timed(const char *endpoint, struct source_sink *sink,
                                         struct source_workload_timing timing,
                                         struct err *err) MUST_USE;

#endif
