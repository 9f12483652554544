// Envoy's secret discovery service v3 as a source: StreamSecrets of a SPIRE agent, an Istio agent
// or any other SDS server, in a thread of its own (stream_source.h). Two secrets are asked for, a
// certificate with its key and a trust bundle; each response is acknowledged, or refused with the
// reason and then the last good secrets stay (sds_state.h). Files that secrets name are watched.
// INVALID_ARGUMENT (a name that the server does not know, yet) and all that may pass are retried
// with backoff and jitter; PERMISSION_DENIED withdraws and is retried; UNIMPLEMENTED ends it until
// source_refresh.
#ifndef CERTMGR_SOURCE_SDS_H
#define CERTMGR_SOURCE_SDS_H

#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "certmgr/source.h"

struct source_sds_options {
    const char *endpoint;    // "unix:///absolute/path" or "tcp://IP:port" (certmgr/endpoint.h)
    const char *certificate; // the name of a secret: "default", a SPIFFE ID
    const char *bundle;      // "ROOTCA", "ALL", "spiffe://td"
};

// The defaults are for the product, others for tests.
struct source_sds_timing {
    int connect_ms;     // connecting, with the HTTP/2 preface
    int64_t names_ms;   // from the stream's start until the report says what has not come
    int64_t give_up_ms; // and until another stream is tried
    int64_t files_ms;   // between looks at the files
};
#define SOURCE_SDS_TIMING_DEFAULT                                                                  \
    ((struct source_sds_timing){                                                                   \
        .connect_ms = 5000, .names_ms = 15000, .give_up_ms = 60000, .files_ms = 1000})

// Starts the thread. The strings are copied; `sink` is borrowed and outlives the source. NULL with
// the sentence on error.
struct source *source_sds_new(const struct source_sds_options *options, struct source_sink *sink,
                              struct err *err) MUST_USE;
struct source *source_sds_new_timed(const struct source_sds_options *options,
                                    struct source_sink *sink, struct source_sds_timing timing,
                                    struct err *err) MUST_USE;

#endif
