#include "tests/certmgr/workload_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "certmgr/workload_codec.h"

void workload_bench_response(struct buf *out, const char *id, size_t chain_len) {
    struct update *update OWNED(update_free) = update_new(1, 0, 0);
    struct err err;
    assert_non_null(update);
    struct update_svid *svid = &update->svids[0];
    assert_true(update_bytes_set(&svid->spiffe_id, span_of_text(id)));
    assert_true(update_bytes_set(&svid->key, span_of_text("key")));
    assert_true(update_bytes_set(&svid->bundle, span_of_text("bundle")));
    svid->chain = (struct update_bytes){.ptr = calloc(1, chain_len), .len = chain_len};
    assert_true(workload_encode_svids(update, out, &err));
}

int workload_bench_set_up(void **state) {
    struct workload_bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    snprintf(bench->folder, sizeof(bench->folder), "/tmp/pavise-source-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    snprintf(bench->path, sizeof(bench->path), "%s/s", bench->folder);
    snprintf(bench->address, sizeof(bench->address), "unix:%s", bench->path);
    snprintf(bench->endpoint, sizeof(bench->endpoint), "unix://%s", bench->path);
    workload_bench_response(&bench->wire[0], "spiffe://td/a", 100);
    workload_bench_response(&bench->wire[1], "spiffe://td/b", 100);
    bench->a = buf_span(&bench->wire[0]);
    bench->b = buf_span(&bench->wire[1]);
    bench->held_a = (struct fake_call){.messages = &bench->a, .num_messages = 1, .hold = true};
    bench->held_b = (struct fake_call){.messages = &bench->b, .num_messages = 1, .hold = true};
    sink_probe_init(&bench->probe);
    *state = bench;
    return 0;
}

int workload_bench_tear_down(void **state) {
    struct workload_bench *bench = *state;
    source_free(bench->source);
    fake_workload_api_free(bench->fake);
    sink_probe_fini(&bench->probe);
    buf_fini(&bench->wire[0]);
    buf_fini(&bench->wire[1]);
    unlink(bench->path);
    rmdir(bench->folder);
    free(bench);
    return 0;
}

void workload_bench_serve(struct workload_bench *bench, const struct fake_call *script,
                          size_t num) {
    bench->fake = fake_workload_api_new(bench->address, script, num);
    assert_non_null(bench->fake);
}

void workload_bench_fetch_timed(struct workload_bench *bench,
                                struct source_workload_timing timing) {
    struct err err;
    bench->source = source_workload_new_timed(bench->endpoint, &bench->probe.sink, timing, &err);
    assert_non_null(bench->source);
}

void workload_bench_fetch(struct workload_bench *bench) {
    workload_bench_fetch_timed(bench, SOURCE_WORKLOAD_TIMING_DEFAULT);
}

void workload_bench_assert_update(struct workload_bench *bench, const char *id) {
    struct update *update OWNED(update_free) = sink_probe_update(&bench->probe);
    assert_non_null(update);
    assert_false(update->withdrawn);
    assert_int_equal(update->num_svids, 1);
    assert_true(span_equal_text(update_bytes_span(&update->svids[0].spiffe_id), id));
}

void workload_bench_assert_withdrawn(struct workload_bench *bench) {
    struct update *update OWNED(update_free) = sink_probe_update(&bench->probe);
    assert_non_null(update);
    assert_true(update->withdrawn);
    assert_int_equal(update->num_svids, 0);
}

void workload_bench_assert_report(struct workload_bench *bench, enum source_state state,
                                  const char *part) {
    assert_true(sink_probe_report(&bench->probe, state, part));
}
