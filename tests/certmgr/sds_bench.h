// What the tests of the SDS source share: a socket in a folder of its own, a server that does as it
// is told, a source and its consumer.
#ifndef TESTS_CERTMGR_SDS_BENCH_H
#define TESTS_CERTMGR_SDS_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include "certmgr/source_sds.h"
#include "tests/testing/fake_sds.h"
#include "tests/testing/pki.h"
#include "tests/testing/sink_probe.h"

#define SDS_BENCH_QUICK                                                                            \
    ((struct source_sds_timing){                                                                   \
        .connect_ms = 1000, .names_ms = 100, .give_up_ms = 400, .files_ms = 20})
#define SDS_BENCH_WEB "spiffe://td/web"
#define SDS_BENCH_OTHER "spiffe://td/other"

struct sds_bench {
    char folder[64];
    char path[96];      // of the socket
    char address[112];  // gRPC's name of it
    char endpoint[112]; // SPIFFE's name of it
    struct pki_cert *ca;
    struct sink_probe probe;
    struct fake_sds *fake; // freed at the end, as is the source
    struct source *source;
};

int sds_bench_set_up(void **state);
int sds_bench_tear_down(void **state);

// Starts the server; starts the source.
void sds_bench_serve(struct sds_bench *bench);
void sds_bench_fetch_timed(struct sds_bench *bench, struct source_sds_timing timing);
void sds_bench_fetch(struct sds_bench *bench);

// Pushes a response of this version: a certificate for `id` (NULL: none), and the CA if asked for.
void sds_bench_push(struct sds_bench *bench, const char *version, const char *id, bool with_bundle);

// Each waits for what it asserts or gives.
struct fake_sds_request sds_bench_request_at(struct sds_bench *bench, size_t index);
void sds_bench_assert_update(struct sds_bench *bench, const char *id); // and that a store takes it
void sds_bench_assert_report(struct sds_bench *bench, enum source_state state, const char *part);

#endif
