// What the tests of the Workload API source share: a socket in a folder of its own, a scripted
// server, a source and its consumer.
#ifndef TESTS_CERTMGR_WORKLOAD_BENCH_H
#define TESTS_CERTMGR_WORKLOAD_BENCH_H

#include <stddef.h>

#include "base/buf.h"
#include "base/span.h"
#include "certmgr/source_workload.h"
#include "tests/testing/fake_workload_api.h"
#include "tests/testing/sink_probe.h"

// Timing for servers that are to be given up.
#define WORKLOAD_BENCH_QUICK                                                                       \
    ((struct source_workload_timing){.connect_ms = 200, .first_message_ms = 300})
#define WORKLOAD_BENCH_ENDED(code, text) ((struct fake_call){.status = (code), .details = (text)})

struct workload_bench {
    char folder[64];
    char path[80];     // of the socket
    char address[96];  // gRPC's name of it
    char endpoint[96]; // SPIFFE's name of it
    struct buf wire[2];
    struct span a; // a response with the ID spiffe://td/a
    struct span b;
    struct fake_call held_a; // sends it and keeps the stream open
    struct fake_call held_b;
    struct sink_probe probe;
    struct fake_workload_api *fake; // freed at the end, as is the source
    struct source *source;
};

int workload_bench_set_up(void **state);
int workload_bench_tear_down(void **state);

// Starts the server; starts the source.
void workload_bench_serve(struct workload_bench *bench, const struct fake_call *script, size_t num);
void workload_bench_fetch_timed(struct workload_bench *bench, struct source_workload_timing timing);
void workload_bench_fetch(struct workload_bench *bench);

// A response with one SVID.
void workload_bench_response(struct buf *out, const char *id, size_t chain_len);

// Each waits for what it asserts.
void workload_bench_assert_update(struct workload_bench *bench, const char *id);
void workload_bench_assert_withdrawn(struct workload_bench *bench);
void workload_bench_assert_report(struct workload_bench *bench, enum source_state state,
                                  const char *part);

#endif
