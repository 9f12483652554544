#include "tests/certmgr/sds_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "certmgr/identity_store.h"
#include "tests/certmgr/sds_fixture.h"

int sds_bench_set_up(void **state) {
    struct sds_bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    snprintf(bench->folder, sizeof(bench->folder), "/tmp/pavise-sds-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    snprintf(bench->path, sizeof(bench->path), "%s/s", bench->folder);
    snprintf(bench->address, sizeof(bench->address), "unix:%s", bench->path);
    snprintf(bench->endpoint, sizeof(bench->endpoint), "unix://%s", bench->path);
    bench->ca = pki_ca();
    sink_probe_init(&bench->probe);
    *state = bench;
    return 0;
}

int sds_bench_tear_down(void **state) {
    struct sds_bench *bench = *state;
    source_free(bench->source);
    fake_sds_free(bench->fake);
    sink_probe_fini(&bench->probe);
    pki_free(bench->ca);
    unlink(bench->path);
    rmdir(bench->folder);
    free(bench);
    return 0;
}

void sds_bench_serve(struct sds_bench *bench) {
    bench->fake = fake_sds_new(bench->address);
    assert_non_null(bench->fake);
}

void sds_bench_fetch_timed(struct sds_bench *bench, struct source_sds_timing timing) {
    struct source_sds_options options = {
        .endpoint = bench->endpoint, .certificate = "default", .bundle = "ROOTCA"};
    struct err err;
    bench->source = source_sds_new_timed(&options, &bench->probe.sink, timing, &err);
    assert_non_null(bench->source);
}

void sds_bench_fetch(struct sds_bench *bench) {
    sds_bench_fetch_timed(bench, SOURCE_SDS_TIMING_DEFAULT);
}

void sds_bench_push(struct sds_bench *bench, const char *version, const char *id,
                    bool with_bundle) {
    struct buf response = {0};
    sds_fixture_usual(&response, version, bench->ca, id, with_bundle ? bench->ca : NULL);
    fake_sds_push(bench->fake, buf_span(&response));
    buf_fini(&response);
}

struct fake_sds_request sds_bench_request_at(struct sds_bench *bench, size_t index) {
    struct fake_sds_request request = {0};
    assert_true(fake_sds_request(bench->fake, index, &request));
    return request;
}

void sds_bench_assert_update(struct sds_bench *bench, const char *id) {
    struct update *update OWNED(update_free) = sink_probe_update(&bench->probe);
    assert_non_null(update);
    assert_false(update->withdrawn);
    assert_true(span_equal_text(update_bytes_span(&update->svids[0].spiffe_id), id));
    struct identity_store *store OWNED(identity_store_free) =
        identity_store_new((struct identity_choice){0});
    struct err err = {0};
    assert_int_equal(identity_store_apply(store, update, PKI_NOW, &err), IDENTITY_CHANGED);
}

void sds_bench_assert_report(struct sds_bench *bench, enum source_state state, const char *part) {
    assert_true(sink_probe_report(&bench->probe, state, part));
}
