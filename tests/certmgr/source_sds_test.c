// The SDS source against a server that behaves as SPIRE's and Istio's agents do.
// Nothing is asserted about time; every wait ends with what is waited for.
#include "certmgr/source_sds.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "certmgr/grpc_code.h"
#include "tests/certmgr/sds_bench.h"
#include "tests/certmgr/sds_fixture.h"

static void requests_are_as_envoy_specifies(void **state) {
    struct sds_bench *bench = *state;
    sds_bench_serve(bench);
    sds_bench_fetch(bench);
    sds_bench_push(bench, "7", SDS_BENCH_WEB, true);
    sds_bench_assert_update(bench, SDS_BENCH_WEB);
    sds_bench_assert_report(bench, SOURCE_CONNECTED, "");
    assert_string_equal(bench->source->ops->kind, "sds");
    struct fake_sds_request first = sds_bench_request_at(bench, 0);
    assert_true(strncmp(first.node_id, "pavise~", 7) == 0);
    assert_string_equal(first.version, "");
    assert_string_equal(first.nonce, "");
    assert_string_equal(first.type_url, SDS_FIXTURE_PREFIX "Secret");
    assert_int_equal(first.num_names, 2);
    assert_string_equal(first.names[0], "default");
    assert_string_equal(first.names[1], "ROOTCA");
    struct fake_sds_request ack = sds_bench_request_at(bench, 1);
    assert_string_equal(ack.version, "7");
    assert_string_equal(ack.nonce, "nonce-7");
    assert_int_equal(ack.num_names, 2);
    assert_string_equal(ack.node_id, "");
    assert_false(ack.is_refusal);
}

static void secrets_may_come_one_by_one(void **state) {
    struct sds_bench *bench = *state;
    sds_bench_serve(bench);
    sds_bench_fetch(bench);
    sds_bench_push(bench, "1", NULL, true);
    assert_int_equal(sds_bench_request_at(bench, 1).is_refusal, false);
    assert_null(mailbox_take(&bench->probe.sink.updates));
    sds_bench_push(bench, "2", SDS_BENCH_WEB, false);
    sds_bench_assert_update(bench, SDS_BENCH_WEB);
    sds_bench_push(bench, "3", NULL, false); // nothing in it: no deletion
    assert_string_equal(sds_bench_request_at(bench, 3).version, "3");
    sds_bench_assert_update(bench, SDS_BENCH_WEB); // as before
    sds_bench_push(bench, "4", SDS_BENCH_OTHER, false);
    sds_bench_assert_update(bench, SDS_BENCH_OTHER);
}

static void next_stream_says_the_version(void **state) {
    struct sds_bench *bench = *state;
    sds_bench_serve(bench);
    sds_bench_fetch_timed(bench, SDS_BENCH_QUICK);
    sds_bench_push(bench, "5", SDS_BENCH_WEB, true);
    sds_bench_assert_update(bench, SDS_BENCH_WEB);
    assert_string_equal(sds_bench_request_at(bench, 1).version, "5");
    fake_sds_end(bench->fake, GRPC_CODE_UNAVAILABLE, "attestation failed");
    sds_bench_assert_report(bench, SOURCE_CONNECTING, "attestation failed");
    struct fake_sds_request again = sds_bench_request_at(bench, 2);
    assert_int_equal(again.stream, 2);
    assert_string_equal(again.version, "5");
    assert_string_equal(again.nonce, "");
    assert_true(again.node_id[0] != '\0');
    // A server with the same version has nothing to say, and that is well.
    sds_bench_assert_report(bench, SOURCE_CONNECTED, "");
    assert_int_equal(fake_sds_num_streams(bench->fake), 2);
}

static void unknown_name_is_retried(void **state) {
    struct sds_bench *bench = *state;
    sds_bench_serve(bench);
    sds_bench_fetch(bench);
    sds_bench_push(bench, "1", SDS_BENCH_WEB, true);
    sds_bench_assert_update(bench, SDS_BENCH_WEB);
    fake_sds_refuse(bench->fake, GRPC_CODE_INVALID_ARGUMENT, "not authorized for default");
    fake_sds_end(bench->fake, GRPC_CODE_INVALID_ARGUMENT, "not authorized for default");
    sds_bench_assert_report(bench, SOURCE_CONNECTING, "identity.sds.certificate");
    assert_null(mailbox_take(&bench->probe.sink.updates)); // no withdrawal
    fake_sds_refuse(bench->fake, -1, NULL);
    sds_bench_push(bench, "2", SDS_BENCH_OTHER, true);
    sds_bench_assert_update(bench, SDS_BENCH_OTHER);
}

static void permission_denied_withdraws_then_comes_back(void **state) {
    struct sds_bench *bench = *state;
    sds_bench_serve(bench);
    sds_bench_fetch(bench);
    sds_bench_push(bench, "1", SDS_BENCH_WEB, true);
    sds_bench_assert_update(bench, SDS_BENCH_WEB);
    assert_string_equal(sds_bench_request_at(bench, 1).version, "1");
    fake_sds_end(bench->fake, GRPC_CODE_PERMISSION_DENIED, "gone");
    struct update *update OWNED(update_free) = sink_probe_update(&bench->probe);
    assert_true(update != NULL && update->withdrawn);
    sds_bench_assert_report(bench, SOURCE_DENIED, "PERMISSION_DENIED");
    assert_string_equal(sds_bench_request_at(bench, 2).version, ""); // what was good is forgotten
    sds_bench_push(bench, "1", NULL, true);                          // half of it is not enough
    assert_false(sds_bench_request_at(bench, 3).is_refusal);
    assert_null(mailbox_take(&bench->probe.sink.updates));
    sds_bench_push(bench, "2", SDS_BENCH_WEB, false);
    sds_bench_assert_update(bench, SDS_BENCH_WEB);
}

static void server_without_sds_is_left_alone(void **state) {
    struct sds_bench *bench = *state;
    sds_bench_serve(bench);
    fake_sds_refuse(bench->fake, GRPC_CODE_UNIMPLEMENTED, "unknown service");
    sds_bench_fetch(bench);
    sds_bench_assert_report(bench, SOURCE_FAILED, "is an SDS server");
    fake_sds_refuse(bench->fake, -1, NULL);
    sds_bench_push(bench, "1", SDS_BENCH_WEB, true);
    source_refresh(bench->source);
    sds_bench_assert_update(bench, SDS_BENCH_WEB);
    assert_int_equal(fake_sds_num_streams(bench->fake), 2);
}

static void server_that_dies_is_found_again(void **state) {
    struct sds_bench *bench = *state;
    sds_bench_fetch(bench);
    sds_bench_assert_report(bench, SOURCE_CONNECTING, "cannot connect");
    sds_bench_serve(bench);
    sds_bench_push(bench, "1", SDS_BENCH_WEB, true);
    sds_bench_assert_update(bench, SDS_BENCH_WEB);
    fake_sds_free(take(&bench->fake));
    sds_bench_assert_report(bench, SOURCE_CONNECTING, "retrying");
    assert_null(mailbox_take(&bench->probe.sink.updates)); // an outage is no withdrawal
    sds_bench_serve(bench);
    sds_bench_push(bench, "1", SDS_BENCH_OTHER, true);
    sds_bench_assert_update(bench, SDS_BENCH_OTHER);
}

static void write_file(const struct sds_bench *bench, const char *name, struct span content) {
    char path[128];
    struct err err;
    snprintf(path, sizeof(path), "%s/%s", bench->folder, name);
    assert_true(file_write_atomic(path, content, 0600, &err));
}

static void write_leaf(const struct sds_bench *bench, const char *id) {
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(bench->ca, id);
    write_file(bench, "cert", pki_der(leaf));
    write_file(bench, "key", pki_key_der(leaf));
}

static void files_are_watched(void **state) {
    struct sds_bench *bench = *state;
    char cert[128];
    char key[128];
    snprintf(cert, sizeof(cert), "%s/cert", bench->folder);
    snprintf(key, sizeof(key), "%s/key", bench->folder);
    struct sds_fixture fixture = {0};
    struct buf response = {0};
    sds_fixture_certificate(&fixture, "default", sds_fixture_file(cert), sds_fixture_file(key));
    sds_fixture_bundle(&fixture, "ROOTCA", sds_fixture_inline(pki_der(bench->ca)));
    sds_fixture_render(&fixture, "1", "n", &response);
    sds_bench_serve(bench);
    sds_bench_fetch_timed(bench, SDS_BENCH_QUICK);
    fake_sds_push(bench->fake, buf_span(&response));
    sds_bench_assert_report(bench, SOURCE_CONNECTED, cert); // it is not there yet
    assert_false(sds_bench_request_at(bench, 1).is_refusal);
    assert_null(mailbox_take(&bench->probe.sink.updates));
    write_leaf(bench, SDS_BENCH_WEB);
    sds_bench_assert_update(bench, SDS_BENCH_WEB);
    sds_bench_assert_report(bench, SOURCE_CONNECTED, "");
    write_file(bench, "cert", span_of_text("half wri"));
    sds_bench_assert_report(bench, SOURCE_CONNECTED, cert);
    write_leaf(bench, SDS_BENCH_OTHER);
    struct update *update OWNED(update_free) = NULL;
    do { // the first one may have been delivered again
        update_free(update);
        update = sink_probe_update(&bench->probe);
        assert_non_null(update);
    } while (!span_equal_text(update_bytes_span(&update->svids[0].spiffe_id), SDS_BENCH_OTHER));
    assert_int_equal(fake_sds_num_streams(bench->fake), 1);
    unlink(cert);
    unlink(key);
    sds_fixture_fini(&fixture);
    buf_fini(&response);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, sds_bench_set_up, sds_bench_tear_down)

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        ROW(requests_are_as_envoy_specifies),
        ROW(secrets_may_come_one_by_one),
        ROW(next_stream_says_the_version),
        ROW(unknown_name_is_retried),
        ROW(permission_denied_withdraws_then_comes_back),
        ROW(server_without_sds_is_left_alone),
        ROW(server_that_dies_is_found_again),
        ROW(files_are_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
