// What to do after a stream of a Workload API or an SDS server has ended: retry or stop, when, and
// what to tell people (SPIFFE Workload API, section 5). Pure: no clock, no
// I/O.
#ifndef CERTMGR_WORKLOAD_RETRY_H
#define CERTMGR_WORKLOAD_RETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "certmgr/source.h"

#define WORKLOAD_RETRY_BASE_MS 250
#define WORKLOAD_RETRY_MAX_MS 30000
// While nobody listens an attempt costs nothing, and a source that comes up is to be noticed soon.
#define WORKLOAD_RETRY_UNREACHED_MAX_MS 1000
// A stream that ends well after this long is opened again at once; a shorter one waits the base,
// so that a server that ends every stream is not hammered.
#define WORKLOAD_RETRY_LIVED_MS 1000

struct workload_retry { // zeroed to begin with
    unsigned failures;  // in a row, without a message
};

// Where the same code means something else.
enum workload_service { WORKLOAD_SERVICE_SPIFFE, WORKLOAD_SERVICE_SDS };

struct workload_end { // how a stream ended
    enum workload_service service;
    int code;             // enum grpc_code
    bool reached;         // the server was connected to
    bool message_seen;    // a message was received and decoded
    int64_t lived_ms;     // from the attempt's start to its end
    const char *endpoint; // for people
    const char *details;  // what the server, or gRPC, said
};

struct workload_decision {
    enum source_state state; // until the next attempt
    bool retry;
    bool withdraw;    // the identity that we had is not to be used any more
    int64_t delay_ms; // before the next attempt; with jitter from `random`
};

struct workload_decision workload_retry_decide(struct workload_retry *retry,
                                               const struct workload_end *end, uint32_t random);

// One sentence: what happened, and what to do about it.
void workload_retry_explain(const struct workload_end *end, char *out, size_t out_len);

#endif
