// Files that come, go and change in every order: what is delivered always fits together. Nothing is
// asserted about time; every wait ends with what is waited for.
#include "certmgr/source_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "certmgr/pem.h"
#include "tests/certmgr/scratch_dir.h"
#include "tests/testing/pki.h"
#include "tests/testing/sink_probe.h"

static const struct source_files_timing QUICK = {
    .settle_ms = 20, .retry_ms = 40, .rescan_ms = 60000};

struct pair { // a certificate and its key, as PEM
    struct pki_cert *cert;
    struct buf cert_pem;
    struct buf key_pem;
};

struct bench {
    struct scratch_dir dir;
    struct scratch_path certificate, key, bundle;
    struct sink_probe probe;
    struct source *source;
    struct pki_cert *ca;
    struct buf ca_pem;
    struct pair pairs[3];
};

static void render(struct pair *pair, const struct pki_cert *ca, const char *spiffe_id) {
    pair->cert = pki_leaf(ca, spiffe_id);
    assert_true(pem_render("CERTIFICATE", pki_der(pair->cert), &pair->cert_pem));
    assert_true(pem_render("PRIVATE KEY", pki_key_der(pair->cert), &pair->key_pem));
}

static int set_up(void **state) {
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    scratch_dir_init(&bench->dir);
    bench->certificate = scratch_dir_path(&bench->dir, "tls.crt");
    bench->key = scratch_dir_path(&bench->dir, "tls.key");
    bench->bundle = scratch_dir_path(&bench->dir, "ca.crt");
    sink_probe_init(&bench->probe);
    bench->ca = pki_ca();
    assert_true(pem_render("CERTIFICATE", pki_der(bench->ca), &bench->ca_pem));
    for (int i = 0; i < 3; i++) {
        render(&bench->pairs[i], bench->ca, "spiffe://example.org/web");
    }
    *state = bench;
    return 0;
}

static int tear_down(void **state) {
    struct bench *bench = *state;
    source_free(bench->source);
    sink_probe_fini(&bench->probe);
    for (int i = 0; i < 3; i++) {
        pki_free(bench->pairs[i].cert);
        buf_fini(&bench->pairs[i].cert_pem);
        buf_fini(&bench->pairs[i].key_pem);
    }
    pki_free(bench->ca);
    buf_fini(&bench->ca_pem);
    scratch_dir_fini(&bench->dir);
    free(bench);
    return 0;
}

static void start_timed(struct bench *bench, struct source_files_timing timing) {
    struct err err = {0};
    const struct source_files_options options = {.certificate = bench->certificate.text,
                                                 .key = bench->key.text,
                                                 .bundle = bench->bundle.text};
    bench->source = source_files_new_timed(&options, &bench->probe.sink, timing, &err);
    if (bench->source == NULL) {
        fail_msg("%s", err.msg);
    }
    assert_string_equal(bench->source->ops->kind, "files");
}

static void start(struct bench *bench) {
    start_timed(bench, QUICK);
}

static void write_all(struct bench *bench, const struct pair *pair) {
    scratch_dir_rewrite(&bench->dir, "ca.crt", buf_span(&bench->ca_pem));
    scratch_dir_rewrite(&bench->dir, "tls.key", buf_span(&pair->key_pem));
    scratch_dir_rewrite(&bench->dir, "tls.crt", buf_span(&pair->cert_pem));
}

// Waits for an update; whatever comes has to be this one, whole.
static void expect_update(struct bench *bench, const struct pair *pair) {
    OWNED(update_free) struct update *update = sink_probe_update(&bench->probe);
    assert_non_null(update);
    assert_false(update->withdrawn);
    assert_int_equal(update->num_svids, 1);
    assert_int_equal(update->num_federated, 0);
    const struct update_svid *svid = &update->svids[0];
    assert_true(span_equal_text(update_bytes_span(&svid->spiffe_id), "spiffe://example.org/web"));
    assert_true(span_equal(update_bytes_span(&svid->chain), pki_der(pair->cert)));
    assert_true(span_equal(update_bytes_span(&svid->key), pki_key_der(pair->cert)));
    assert_true(span_equal(update_bytes_span(&svid->bundle), pki_der(bench->ca)));
}

static void expect_report(struct bench *bench, enum source_state state, const char *part) {
    assert_true(sink_probe_report(&bench->probe, state, part));
}

// After this report nothing may have been delivered.
static void expect_only_report(struct bench *bench, enum source_state state, const char *part) {
    expect_report(bench, state, part);
    assert_null(mailbox_take(&bench->probe.sink.updates));
}

static void files_that_are_there_are_delivered(void **state) {
    struct bench *bench = *state;
    write_all(bench, &bench->pairs[0]);
    start(bench);
    expect_update(bench, &bench->pairs[0]);
    expect_report(bench, SOURCE_CONNECTED, "");
}

static void missing_files_are_named_and_waited_for(void **state) {
    struct bench *bench = *state;
    start(bench);
    expect_only_report(bench, SOURCE_CONNECTING, "/tls.crt: No such file or directory");
    scratch_dir_rewrite(&bench->dir, "tls.crt", buf_span(&bench->pairs[0].cert_pem));
    expect_only_report(bench, SOURCE_CONNECTING, "/tls.key: No such file or directory");
    scratch_dir_rewrite(&bench->dir, "tls.key", buf_span(&bench->pairs[0].key_pem));
    expect_only_report(bench, SOURCE_CONNECTING, "/ca.crt: No such file or directory");
    scratch_dir_rewrite(&bench->dir, "ca.crt", buf_span(&bench->ca_pem));
    expect_update(bench, &bench->pairs[0]);
    expect_report(bench, SOURCE_CONNECTED, "");
}

static void every_way_to_replace_is_seen(void **state) {
    struct bench *bench = *state;
    write_all(bench, &bench->pairs[0]);
    start(bench);
    expect_update(bench, &bench->pairs[0]);
    write_all(bench, &bench->pairs[1]); // in place
    expect_update(bench, &bench->pairs[1]);
    scratch_dir_replace(&bench->dir, "tls.key", buf_span(&bench->pairs[2].key_pem));
    scratch_dir_replace(&bench->dir, "tls.crt", buf_span(&bench->pairs[2].cert_pem));
    expect_update(bench, &bench->pairs[2]);
}

static void write_release(struct bench *bench, const char *name, const struct pair *pair) {
    char path[64];
    scratch_dir_make(&bench->dir, name);
    snprintf(path, sizeof path, "%s/tls.crt", name);
    scratch_dir_rewrite(&bench->dir, path, buf_span(&pair->cert_pem));
    snprintf(path, sizeof path, "%s/tls.key", name);
    scratch_dir_rewrite(&bench->dir, path, buf_span(&pair->key_pem));
    snprintf(path, sizeof path, "%s/ca.crt", name);
    scratch_dir_rewrite(&bench->dir, path, buf_span(&bench->ca_pem));
}

static void a_swapped_link_is_seen(void **state) {
    struct bench *bench = *state;
    write_release(bench, "..1", &bench->pairs[0]);
    write_release(bench, "..2", &bench->pairs[1]);
    scratch_dir_link(&bench->dir, "..data", "..1");
    scratch_dir_link(&bench->dir, "tls.crt", "..data/tls.crt");
    scratch_dir_link(&bench->dir, "tls.key", "..data/tls.key");
    scratch_dir_link(&bench->dir, "ca.crt", "..data/ca.crt");
    start(bench);
    expect_update(bench, &bench->pairs[0]);
    scratch_dir_link(&bench->dir, "..data", "..2");
    expect_update(bench, &bench->pairs[1]);
    scratch_dir_rewrite(&bench->dir, "..2/tls.key", buf_span(&bench->pairs[2].key_pem));
    scratch_dir_rewrite(&bench->dir, "..2/tls.crt", buf_span(&bench->pairs[2].cert_pem));
    expect_update(bench, &bench->pairs[2]);
}

static void only_a_pair_that_fits_is_delivered(void **state) {
    struct bench *bench = *state;
    write_all(bench, &bench->pairs[0]);
    start(bench);
    expect_update(bench, &bench->pairs[0]);
    scratch_dir_replace(&bench->dir, "tls.key", buf_span(&bench->pairs[1].key_pem));
    expect_only_report(bench, SOURCE_CONNECTED, "stays in use: ");
    scratch_dir_replace(&bench->dir, "tls.crt", buf_span(&bench->pairs[1].cert_pem));
    expect_update(bench, &bench->pairs[1]);
    expect_report(bench, SOURCE_CONNECTED, "");
    scratch_dir_replace(&bench->dir, "tls.crt", buf_span(&bench->pairs[2].cert_pem));
    expect_only_report(bench, SOURCE_CONNECTED, "key");
    scratch_dir_replace(&bench->dir, "tls.key", buf_span(&bench->pairs[2].key_pem));
    expect_update(bench, &bench->pairs[2]);
}

static void garbage_keeps_the_last_good(void **state) {
    struct bench *bench = *state;
    write_all(bench, &bench->pairs[0]);
    start(bench);
    expect_update(bench, &bench->pairs[0]);
    struct span half = buf_span(&bench->pairs[1].cert_pem);
    half.len /= 2;
    scratch_dir_rewrite(&bench->dir, "tls.crt", half);
    expect_only_report(bench, SOURCE_CONNECTED, "/tls.crt: has a PEM block that is not complete");
    scratch_dir_rewrite(&bench->dir, "tls.crt", span_of(NULL, 0));
    expect_only_report(bench, SOURCE_CONNECTED, "/tls.crt: is empty");
    scratch_dir_rewrite(&bench->dir, "tls.crt", buf_span(&bench->pairs[0].cert_pem));
    expect_update(bench, &bench->pairs[0]);
    scratch_dir_rewrite(&bench->dir, "ca.crt", buf_span(&bench->pairs[0].key_pem));
    expect_only_report(bench, SOURCE_CONNECTED, "/ca.crt: holds no certificate");
    scratch_dir_remove(&bench->dir, "ca.crt");
    scratch_dir_make(&bench->dir, "ca.crt");
    expect_only_report(bench, SOURCE_CONNECTED, "/ca.crt is not a regular file");
    scratch_dir_remove(&bench->dir, "tls.key");
    expect_only_report(bench, SOURCE_CONNECTED, "/tls.key: No such file");
    scratch_dir_remove(&bench->dir, "ca.crt");
    write_all(bench, &bench->pairs[2]);
    expect_update(bench, &bench->pairs[2]);
    expect_report(bench, SOURCE_CONNECTED, "");
}

// A bundle that is cut between two certificates is a good bundle of one: only patience tells.
static void a_writer_is_given_time(void **state) {
    struct bench *bench = *state;
    OWNED(pki_free) struct pki_cert *second = pki_ca();
    struct source_files_timing patient = QUICK;
    patient.settle_ms = 2000;
    write_all(bench, &bench->pairs[0]);
    start_timed(bench, patient);
    expect_update(bench, &bench->pairs[0]);
    struct buf both = {0};
    struct span first = buf_span(&bench->ca_pem);
    assert_true(pem_render("CERTIFICATE", pki_der(second), &both));
    scratch_dir_rewrite(&bench->dir, "ca.crt", buf_span(&both));
    assert_true(buf_append(&both, first.ptr, first.len));
    usleep(200 * 1000); // the source has looked by now
    scratch_dir_rewrite(&bench->dir, "ca.crt", buf_span(&both));
    OWNED(update_free) struct update *update = sink_probe_update(&bench->probe);
    assert_non_null(update);
    assert_int_equal(update->svids[0].bundle.len, pki_der(second).len + pki_der(bench->ca).len);
    buf_fini(&both);
}

static void all_in_one_file_and_der(void **state) {
    struct bench *bench = *state;
    struct buf all = {0};
    struct span key = buf_span(&bench->pairs[0].key_pem);
    struct span cert = buf_span(&bench->pairs[0].cert_pem);
    assert_true(buf_append(&all, key.ptr, key.len) && buf_append(&all, cert.ptr, cert.len));
    scratch_dir_rewrite(&bench->dir, "tls.crt", buf_span(&all));
    bench->key = bench->certificate;
    scratch_dir_rewrite(&bench->dir, "ca.crt", pki_der(bench->ca));
    start(bench);
    expect_update(bench, &bench->pairs[0]);
    buf_fini(&all);
}

static void no_svid_is_no_update(void **state) {
    struct bench *bench = *state;
    write_all(bench, &bench->pairs[0]);
    OWNED(pki_free) struct pki_cert *plain = pki_issue(bench->ca, &(struct pki_options){0});
    struct buf pem = {0};
    assert_true(pem_render("CERTIFICATE", pki_der(plain), &pem));
    assert_true(pem_render("PRIVATE KEY", pki_key_der(plain), &pem));
    scratch_dir_rewrite(&bench->dir, "tls.crt", buf_span(&pem));
    scratch_dir_rewrite(&bench->dir, "tls.key", buf_span(&pem));
    start(bench);
    expect_only_report(bench, SOURCE_CONNECTING, "there is no certificate yet");
    buf_fini(&pem);
}

static void refresh_delivers_again(void **state) {
    struct bench *bench = *state;
    write_all(bench, &bench->pairs[0]);
    start(bench);
    expect_update(bench, &bench->pairs[0]);
    source_refresh(bench->source);
    expect_update(bench, &bench->pairs[0]);
}

// Writers in a hurry, readers at any moment: never a mixture.
static void storm(void **state) {
    struct bench *bench = *state;
    write_all(bench, &bench->pairs[0]);
    start(bench);
    expect_update(bench, &bench->pairs[0]);
    for (int i = 0; i < 300; i++) {
        const struct pair *pair = &bench->pairs[i % 3];
        scratch_dir_rewrite(&bench->dir, "tls.key", buf_span(&pair->key_pem));
        scratch_dir_rewrite(&bench->dir, "tls.crt", buf_span(&pair->cert_pem));
        OWNED(update_free) struct update *update = mailbox_take(&bench->probe.sink.updates);
        if (update != NULL) {
            size_t which = 0;
            while (which < 3 && !span_equal(update_bytes_span(&update->svids[0].chain),
                                            pki_der(bench->pairs[which].cert))) {
                which++;
            }
            assert_in_range(which, 0, 2);
            assert_true(span_equal(update_bytes_span(&update->svids[0].key),
                                   pki_key_der(bench->pairs[which].cert)));
        }
    }
    write_all(bench, &bench->pairs[1]);
    for (bool found = false; !found;) {
        OWNED(update_free) struct update *update = sink_probe_update(&bench->probe);
        assert_non_null(update);
        found =
            span_equal(update_bytes_span(&update->svids[0].chain), pki_der(bench->pairs[1].cert));
    }
}

static void ended_at_any_point_of_its_life(void **state) {
    struct bench *bench = *state;
    write_all(bench, &bench->pairs[0]);
    for (int i = 0; i < 50; i++) {
        start(bench);
        if (i % 3 == 0) {
            source_refresh(bench->source);
        }
        if (i % 2 == 0) {
            write_all(bench, &bench->pairs[i % 3]);
        }
        source_free(take(&bench->source));
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(files_that_are_there_are_delivered),
        TEST(missing_files_are_named_and_waited_for),
        TEST(every_way_to_replace_is_seen),
        TEST(a_swapped_link_is_seen),
        TEST(only_a_pair_that_fits_is_delivered),
        TEST(garbage_keeps_the_last_good),
        TEST(a_writer_is_given_time),
        TEST(all_in_one_file_and_der),
        TEST(no_svid_is_no_update),
        TEST(refresh_delivers_again),
        TEST(storm),
        TEST(ended_at_any_point_of_its_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
