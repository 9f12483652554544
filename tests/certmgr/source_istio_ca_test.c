// The source against a CA that behaves, goes away and comes back. Nothing is asserted about time;
// every wait ends with what is waited for.
#include "certmgr/source_istio_ca.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "certmgr/identity_store.h"
#include "tests/certmgr/ca_bench.h"

static void request_is_as_specified(void **state) {
    struct ca_bench *bench = *state;
    ca_bench_fetch(bench);
    struct update *update OWNED(update_free) = ca_bench_take_update(bench);
    ca_bench_assert_report(bench, SOURCE_CONNECTED, "");
    struct fake_ca_seen seen = fake_ca_seen(bench->fake);
    assert_int_equal(seen.num_calls, 1);
    assert_string_equal(seen.authorization, "Bearer " CA_BENCH_TOKEN);
    assert_string_equal(seen.cluster_id, "Kubernetes");
    assert_string_equal(seen.method, "/istio.v1.auth.IstioCertificateService/CreateCertificate");
    assert_int_equal(atomic_load(&bench->validity_s), 3600);
    assert_string_equal(bench->source->ops->kind, "istioCa");
    struct identity_store *store OWNED(identity_store_free) =
        identity_store_new((struct identity_choice){0});
    struct err err;
    assert_int_equal(identity_store_apply(store, update, clock_wall_s(), &err), IDENTITY_CHANGED);
}

static bool same_key(const struct update *a, const struct update *b) {
    return span_equal(update_bytes_span(&a->svids[0].key), update_bytes_span(&b->svids[0].key));
}

static void short_certificates_are_renewed_with_fresh_keys(void **state) {
    struct ca_bench *bench = *state;
    atomic_store(&bench->answer, CA_SHORT);
    ca_bench_fetch(bench);
    struct update *first OWNED(update_free) = ca_bench_take_update(bench);
    struct update *second OWNED(update_free) = ca_bench_take_update(bench);
    assert_false(same_key(first, second));
}

static void refresh_renews_at_once(void **state) {
    struct ca_bench *bench = *state;
    ca_bench_fetch(bench);
    struct update *first OWNED(update_free) = ca_bench_take_update(bench);
    source_refresh(bench->source);
    struct update *second OWNED(update_free) = ca_bench_take_update(bench);
    assert_false(same_key(first, second));
}

static void token_is_read_at_each_use(void **state) {
    struct ca_bench *bench = *state;
    ca_bench_write(bench->token_path, " \n");
    ca_bench_fetch(bench);
    ca_bench_assert_report(bench, SOURCE_CONNECTING, "is empty");
    assert_int_equal(fake_ca_seen(bench->fake).num_calls, 0);
    ca_bench_write(bench->token_path, "another-token-of-the-test");
    ca_bench_assert_update(bench);
    assert_string_equal(fake_ca_seen(bench->fake).authorization,
                        "Bearer another-token-of-the-test");
    unlink(bench->token_path);
    source_refresh(bench->source);
    ca_bench_assert_report(bench, SOURCE_CONNECTING, "cannot read the token");
}

static void ca_that_goes_away_is_found_again(void **state) {
    struct ca_bench *bench = *state;
    uint16_t port = fake_ca_port(bench->fake);
    ca_bench_fetch(bench);
    ca_bench_assert_update(bench);
    fake_ca_free(take(&bench->fake));
    source_refresh(bench->source);
    ca_bench_assert_report(bench, SOURCE_CONNECTING, "cannot connect to 127.0.0.1");
    assert_null(mailbox_take(&bench->probe.sink.updates)); // an outage is no withdrawal
    ca_bench_serve(bench, port, NULL);
    ca_bench_assert_update(bench);
    ca_bench_assert_report(bench, SOURCE_CONNECTED, "");
}

static void wrong_token_is_retried_and_withdraws_nothing(void **state) {
    struct ca_bench *bench = *state;
    ca_bench_fetch(bench);
    ca_bench_assert_update(bench);
    atomic_store(&bench->answer, CA_UNAUTHENTICATED);
    source_refresh(bench->source);
    ca_bench_assert_report(bench, SOURCE_DENIED, "said the test");
    assert_null(mailbox_take(&bench->probe.sink.updates));
    atomic_store(&bench->answer, CA_GOOD);
    ca_bench_assert_update(bench);
}

static void permission_denied_withdraws(void **state) {
    struct ca_bench *bench = *state;
    ca_bench_fetch(bench);
    ca_bench_assert_update(bench);
    atomic_store(&bench->answer, CA_PERMISSION_DENIED);
    source_refresh(bench->source);
    struct update *update OWNED(update_free) = ca_bench_take_update(bench);
    assert_true(update->withdrawn);
    ca_bench_assert_report(bench, SOURCE_DENIED, "PERMISSION_DENIED");
    atomic_store(&bench->answer, CA_GOOD);
    ca_bench_assert_update(bench);
}

static void wrong_roots_are_refused_until_they_are_right(void **state) {
    struct ca_bench *bench = *state;
    ca_bench_write_roots(bench, bench->other_root);
    ca_bench_fetch(bench);
    ca_bench_assert_report(bench, SOURCE_CONNECTING, "is not trusted by the roots in");
    assert_int_equal(fake_ca_seen(bench->fake).num_calls, 0);
    ca_bench_write_roots(bench, bench->root);
    ca_bench_assert_update(bench);
}

static void wrong_name_is_refused(void **state) {
    struct ca_bench *bench = *state;
    bench->options.server_name = "istiod.istio-system.svc";
    ca_bench_fetch(bench);
    ca_bench_assert_report(bench, SOURCE_CONNECTING,
                           "is not for the name \"istiod.istio-system.svc\"");
    assert_int_equal(fake_ca_seen(bench->fake).num_calls, 0);
}

static void right_name_is_accepted(void **state) {
    struct ca_bench *bench = *state;
    bench->options.server_name = FAKE_CA_NAME;
    ca_bench_fetch(bench);
    ca_bench_assert_update(bench);
}

static void silent_ca_is_given_up_and_tried_again(void **state) {
    struct ca_bench *bench = *state;
    bench->options.call_ms = 300;
    atomic_store(&bench->answer, CA_SILENT);
    ca_bench_fetch(bench);
    ca_bench_assert_report(bench, SOURCE_CONNECTING, "DEADLINE_EXCEEDED");
    atomic_store(&bench->answer, CA_GOOD);
    ca_bench_assert_update(bench);
}

// Freed at any point of its life: while it connects, while the CA is silent, between attempts.
static void it_ends_at_any_time(void **state) {
    struct ca_bench *bench = *state;
    for (int i = 0; i < 30; i++) {
        atomic_store(&bench->answer, i % 3 == 0 ? CA_SILENT : i % 3 == 1 ? CA_GOOD : CA_GARBAGE);
        ca_bench_fetch(bench);
        usleep((useconds_t)(i * 300));
        source_refresh(bench->source);
        source_free(take(&bench->source));
    }
}

static void bad_address_is_refused(void **state) {
    struct ca_bench *bench = *state;
    struct err err;
    bench->options.address = "127.0.0.1";
    assert_null(source_istio_ca_new(&bench->options, &bench->probe.sink, &err));
    assert_int_equal(err.class, ERR_INPUT);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, ca_bench_set_up, ca_bench_tear_down)

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        ROW(request_is_as_specified),
        ROW(short_certificates_are_renewed_with_fresh_keys),
        ROW(refresh_renews_at_once),
        ROW(token_is_read_at_each_use),
        ROW(ca_that_goes_away_is_found_again),
        ROW(wrong_token_is_retried_and_withdraws_nothing),
        ROW(permission_denied_withdraws),
        ROW(wrong_roots_are_refused_until_they_are_right),
        ROW(wrong_name_is_refused),
        ROW(right_name_is_accepted),
        ROW(silent_ca_is_given_up_and_tried_again),
        ROW(it_ends_at_any_time),
        ROW(bad_address_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
