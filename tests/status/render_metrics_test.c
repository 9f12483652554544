#include "agent/status/render_metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/status/fake_backend.h"
#include "tests/status/metrics_check.h"
#include "tests/testing/pki_identity.h"
#include "tests/trust/trust_fixture.h"

static char *render(struct fake_backend *fake) {
    struct process_stat process;
    struct buf out = {0};
    process_stat_load(&process);
    const struct sandbox_view layers[] = {{"landlock", false}, {"seccomp", true}};
    static struct certificate_view cert = {
        .logical_name = "inbound/8443/www", .path = "/etc/\"www\".crt", .not_after = 900};
    const struct view configured = {.certificates = &cert, .num_certificates = 1};
    struct render_metrics_input input = {
        .layers = layers,
        .num_layers = 2,
        .configured = &configured,
        .now_s = 1000,
        .sums = &fake->sums,
        .identity = &fake->identity,
        .reload = &fake->reload,
        .trust = &fake->trust,
        .audit = &fake->audit,
        .process = &process,
        .checks = fake->checks,
        .num_checks = fake->num_checks,
        .is_alive = fake->alive,
    };
    assert_true(render_metrics_text(&out, &input));
    char *text = buf_take_text(&out);
    assert_non_null(text);
    char why[512];
    if (!metrics_check(text, why, sizeof(why))) {
        fail_msg("%s", why);
    }
    return text;
}

static void check_value(const char *text, const char *series, const char *expected) {
    char value[64];
    if (metrics_find(text, series, value, sizeof(value)) == NULL) {
        fail_msg("there is no %s", series);
    }
    assert_string_equal(value, expected);
}

static void test_the_audit(void **state UNUSED) {
    struct fake_backend fake;
    fake_backend_init(&fake);
    fake.audit = (struct audit_view){.is_on = true,
                                     .is_connected = true,
                                     .num_connected = 2,
                                     .num_failed = 3,
                                     .num_queued = 40,
                                     .num_sent = 30,
                                     .num_dropped = 5,
                                     .held = 600};
    char *text = render(&fake);
    check_value(text, "pavise_audit_records_total{result=\"queued\"}", "40");
    check_value(text, "pavise_audit_records_total{result=\"sent\"}", "30");
    check_value(text, "pavise_audit_records_total{result=\"dropped\"}", "5");
    check_value(text, "pavise_audit_connects_total{result=\"ok\"}", "2");
    check_value(text, "pavise_audit_connects_total{result=\"failed\"}", "3");
    check_value(text, "pavise_audit_connected", "1");
    check_value(text, "pavise_audit_queue_bytes", "600");
    free(text);
    fake_backend_fini(&fake);
}

static void test_the_trust_store(void **state UNUSED) {
    struct fake_backend fake;
    struct trust_process_view process = {.needs_restart = true};
    fake_backend_init(&fake);
    char *text = render(&fake);
    assert_non_null(strstr(text, "pavise_cert_expires_in_seconds{logical_name=\"inbound/8443/www\","
                                 "path=\"/etc/\\\"www\\\".crt\"} -100\n"));
    assert_null(strstr(text, "pavise_trust_")); // off
    free(text);
    fake.trust = (struct trust_view){.state = TRUST_STATE_WRITTEN,
                                     .generation = 3,
                                     .written_ms = 5000,
                                     .set = trust_fixture_set(),
                                     .processes = &process,
                                     .num_processes = 1};
    text = render(&fake);
    check_value(text, "pavise_trust_generation", "3");
    check_value(text, "pavise_trust_written_timestamp_seconds", "5.000");
    check_value(text, "pavise_trust_last_sync_successful", "1");
    check_value(text, "pavise_trust_restart_needed_processes", "1");
    check_value(text, "pavise_trust_certificates{origin=\"user\"}", "2");
    check_value(text, "pavise_trust_certificates{origin=\"public\"}", "1");
    check_value(text,
                "pavise_certificate_not_after_timestamp_seconds{kind=\"trust\",name=\"alpha\"}",
                "4102444800");
    free(text);
    fake.trust.state = TRUST_STATE_FAILING;
    text = render(&fake);
    check_value(text, "pavise_trust_last_sync_successful", "0");
    free(text);
    trust_set_unref(fake.trust.set);
    fake_backend_fini(&fake);
}

static void test_values(void **state UNUSED) {
    struct fake_backend fake;
    fake_backend_init(&fake);
    fake.sums.metrics[METRIC_OPENED_OUTBOUND] = 11;
    fake.sums.metrics[METRIC_STREAMS_OPEN] = UINT64_MAX;
    fake.sums.closed[INBOUND][CLOSE_UNAUTHORIZED] = 5;
    fake.sums.refused[OUTBOUND][VERIFY_EXPIRED] = 6;
    fake.sums.refused[OUTBOUND][VERIFY_OK] = 77;
    fake.identity.counts.refused_by[IDENTITY_REFUSAL_EXPIRED] = 8;
    char *text = render(&fake);
    assert_null(strstr(text, "pavise_identity_next_renewal_timestamp_seconds"));
    check_value(text, "pavise_identity_refused_total{reason=\"expired\"}", "8");
    check_value(text, "pavise_identity_refused_total{reason=\"malformed\"}", "0");
    check_value(text, "pavise_connections_opened_total{direction=\"outbound\"}", "11");
    check_value(text, "pavise_streams_open", "18446744073709551615");
    check_value(text,
                "pavise_connections_closed_total{direction=\"inbound\",reason=\"unauthorized\"}",
                "5");
    check_value(text, "pavise_peers_refused_total{direction=\"outbound\",reason=\"expired\"}", "6");
    assert_null(strstr(text, "reason=\"ok\""));
    assert_null(strstr(text, "reason=\"open\""));
    check_value(text, "pavise_identity_rotations_total", "3");
    check_value(text, "pavise_identity_updates_total{result=\"accepted\"}", "4");
    check_value(text, "pavise_identity_updates_total{result=\"refused\"}", "1");
    check_value(text, "pavise_identity_state{state=\"valid\"}", "1");
    check_value(text, "pavise_identity_state{state=\"pending\"}", "0");
    check_value(text, "pavise_config_last_reload_successful", "1");
    check_value(text, "pavise_sandbox_layer{layer=\"landlock\"}", "0");
    assert_null(strstr(text, "pavise_audit"));
    check_value(text, "pavise_sandbox_layer{layer=\"seccomp\"}", "1");
    check_value(text, "pavise_build_info{version=\"0.1.0\"}", "1");
    free(text);
    fake.identity.source.next_renewal_ms = 1800000000500;
    text = render(&fake);
    check_value(text, "pavise_identity_next_renewal_timestamp_seconds", "1800000000.500");
    free(text);
    fake_backend_fini(&fake);
}

static void test_certificates(void **state UNUSED) {
    struct fake_backend fake;
    fake_backend_init(&fake);
    char expected[64];
    char *text = render(&fake);
    (void)snprintf(expected, sizeof(expected), "%lld",
                   (long long)svid_not_after(identity_svid(fake.identity.identity)));
    check_value(text,
                "pavise_certificate_not_after_timestamp_seconds{kind=\"identity\","
                "name=\"" FAKE_BACKEND_ID "\"}",
                expected);
    (void)snprintf(expected, sizeof(expected), "%lld",
                   (long long)svid_not_before(identity_svid(fake.identity.identity)));
    check_value(text,
                "pavise_certificate_not_before_timestamp_seconds{kind=\"identity\","
                "name=\"" FAKE_BACKEND_ID "\"}",
                expected);
    assert_non_null(strstr(text, "{kind=\"trust_bundle\",name=\"example.org\"} "));
    free(text);
    identity_unref(take(&fake.identity.identity));
    fake.identity.state = IDENTITY_PENDING;
    text = render(&fake);
    assert_null(strstr(text, "not_after"));
    free(text);
    fake_backend_fini(&fake);
}

static void test_health(void **state UNUSED) {
    struct fake_backend fake;
    fake_backend_init(&fake);
    fake.checks[1].ready = false;
    fake.alive = true;
    char *text = render(&fake);
    check_value(text, "pavise_ready{check=\"listeners\"}", "1");
    check_value(text, "pavise_ready{check=\"identity\"}", "0");
    check_value(text, "pavise_alive", "1");
    free(text);
    fake.alive = false;
    text = render(&fake);
    check_value(text, "pavise_alive", "0");
    free(text);
    fake_backend_fini(&fake);
}

// Two SVIDs of one ID (other hints) are one series.
static void test_no_series_twice(void **state UNUSED) {
    struct fake_backend fake;
    fake_backend_init(&fake);
    OWNED(pki_free) struct pki_cert *ca = pki_ca();
    OWNED(svid_unref) struct svid *first = pki_svid(ca, FAKE_BACKEND_ID);
    OWNED(svid_unref) struct svid *second = pki_svid(ca, FAKE_BACKEND_ID);
    OWNED(bundle_set_unref) struct bundle_set *bundles = pki_bundles("example.org", ca);
    struct svid *both[] = {first, second};
    identity_unref(fake.identity.identity);
    fake.identity.identity = identity_new(5, both, 2, bundles);
    free(render(&fake));
    fake_backend_fini(&fake);
}

static void test_process(void **state UNUSED) {
    struct fake_backend fake;
    fake_backend_init(&fake);
    char *text = render(&fake);
    char value[64];
    static const char *const names[] = {
        "process_cpu_seconds_total",     "process_start_time_seconds",   "process_open_fds",
        "process_resident_memory_bytes", "process_virtual_memory_bytes", "process_threads",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_non_null(metrics_find(text, names[i], value, sizeof(value)));
        assert_true(strtod(value, NULL) >= 0.0);
    }
    assert_non_null(metrics_find(text, "process_start_time_seconds", value, sizeof(value)));
    double age = (double)clock_wall_ms() / 1000.0 - strtod(value, NULL);
    assert_true(age > -2.0 && age < 3600.0);
    assert_non_null(metrics_find(text, "process_open_fds", value, sizeof(value)));
    assert_true(strtod(value, NULL) >= 3.0);
    free(text);
    fake_backend_fini(&fake);
}

// The checker itself can say no.
static void test_checker(void **state UNUSED) {
    static const char *const bad[] = {
        "a 1",
        "a 1\n",
        "# HELP a x\n# TYPE a gauge\n",
        "# HELP a x\n# TYPE a counter\na 1\n",
        "# HELP a_total x\n# TYPE a_total gauge\na_total 1\n",
        "# HELP a x\n# TYPE a gauge\na 1\na 2\n",
        "# HELP a x\n# TYPE a gauge\na{b=\"c\"} 1\n# HELP b x\n# TYPE b gauge\nb 1\na 2\n",
        "# HELP a x\n# TYPE a gauge\na{b=\"c\nd\"} 1\n",
        "# HELP a x\n# TYPE a gauge\na{b=\"c\"d\"} 1\n",
        "# HELP a x\n# TYPE a gauge\na{b=\"c\\\"} 1\n",
        "# HELP a x\n# TYPE a gauge\na 1\n# HELP a x\n# TYPE a gauge\na 1\n",
        "# HELP a x\n# TYPE a gauge\na nan\n",
        "# HELP a x\n# TYPE a gauge\n\na 1\n",
    };
    char why[512];
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(metrics_check(bad[i], why, sizeof(why)));
    }
    assert_true(metrics_check("# HELP a x\n# TYPE a gauge\na{b=\"c\\\"\\\\\",d=\"\"} -1.5\na 2\n",
                              why, sizeof(why)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_audit),       cmocka_unit_test(test_the_trust_store),
        cmocka_unit_test(test_values),          cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_no_series_twice), cmocka_unit_test(test_process),
        cmocka_unit_test(test_health),          cmocka_unit_test(test_checker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
