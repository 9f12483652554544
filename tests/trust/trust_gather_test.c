// All inputs together: what goes in, what is said, what stays of a file that breaks.
#include "certmgr/trust/trust_gather.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "certmgr/pem.h"
#include "tests/certmgr/scratch_dir.h"
#include "tests/testing/pki.h"

struct scene {
    struct scratch_dir dir;
    struct scratch_path sources[1];
    struct scratch_path roots;
    const char *source_paths[1];
    struct pki_cert *certs[3];
    struct trust_options options;
};

static void put_pem(struct scene *scene, const char *name, const struct pki_cert *cert) {
    struct buf text = {0};
    assert_true(pem_render("CERTIFICATE", pki_der(cert), &text));
    scratch_dir_replace(&scene->dir, name, buf_span(&text));
    buf_fini(&text);
}

static struct trust_set *gather(struct scene *scene, const struct trust_set *before) {
    struct err err = {0};
    struct trust_set *set = trust_gather(&scene->options, before, PKI_NOW, &err);
    if (set == NULL) {
        fail_msg("%s", err.msg);
    }
    return set;
}

static void expect_problem(const struct trust_set *set, size_t index, const char *place_end,
                           const char *sentence) {
    assert_true(index < set->num_problems);
    const struct trust_problem *problem = &set->problems[index];
    size_t len = strlen(problem->place), end_len = strlen(place_end);
    assert_true(len >= end_len);
    assert_string_equal(problem->place + len - end_len, place_end);
    if (strstr(problem->sentence, sentence) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", problem->sentence, sentence);
    }
}

static void all_kinds_of_inputs(void **state) {
    struct scene *scene = *state;
    const struct trust_domain_root root = {.trust_domain = "example.org",
                                           .der = pki_der(scene->certs[2])};
    struct buf pem = {0};
    assert_true(pem_render("CERTIFICATE", pki_der(scene->certs[1]), &pem));
    const struct trust_named named[] = {
        {.name = "inline", .content = buf_span(&pem), .is_loaded = true},
        {.name = "later", .missing = "it was not fetched yet", .from = "https://x/"},
    };
    put_pem(scene, "s/one.pem", scene->certs[0]);
    scene->options.named = named;
    scene->options.num_named = 2;
    scene->options.domain_roots = &root;
    scene->options.num_domain_roots = 1;
    OWNED(trust_set_unref) struct trust_set *set = gather(scene, NULL);
    assert_int_equal(set->num_entries, 4);
    assert_non_null(trust_set_find(set, "one"));
    assert_non_null(trust_set_find(set, "inline"));
    assert_non_null(trust_set_find(set, "spiffe-example.org"));
    assert_string_equal(trust_set_find(set, "inline")->source, "trustStore.certificates[inline]");
    assert_int_equal(trust_set_count(set, TRUST_PUBLIC), 1);
    assert_int_equal(set->num_problems, 1);
    expect_problem(set, 0, "https://x/", "it was not fetched yet");
    assert_true(set->problems[0].is_whole);
    buf_fini(&pem);
}

static void one_bad_file_never_sinks_the_rest(void **state) {
    struct scene *scene = *state;
    put_pem(scene, "s/good.pem", scene->certs[0]);
    scratch_dir_rewrite(&scene->dir, "s/bad.pem", span_of_text("junk"));
    scratch_dir_rewrite(&scene->dir, "s/empty.pem", span_of(NULL, 0));
    assert_int_equal(mkfifo(scratch_dir_path(&scene->dir, "s/fifo").text, 0600), 0);
    assert_int_equal(truncate(scratch_dir_path(&scene->dir, "s/empty.pem").text, 100 << 20), 0);
    OWNED(trust_set_unref) struct trust_set *set = gather(scene, NULL);
    assert_int_equal(set->num_entries, 2);
    assert_int_equal(set->num_problems, 3);
    expect_problem(set, 0, "/s/bad.pem", "it holds no certificate, PEM or DER");
    expect_problem(set, 1, "/s/empty.pem", "it is larger than 67108864 bytes");
    expect_problem(set, 2, "/s/fifo", "it is a FIFO, not a file");
}

static void what_breaks_keeps_what_it_held(void **state) {
    struct scene *scene = *state;
    put_pem(scene, "s/a.pem", scene->certs[0]);
    put_pem(scene, "s/b.pem", scene->certs[1]);
    OWNED(trust_set_unref) struct trust_set *first = gather(scene, NULL);
    scratch_dir_rewrite(&scene->dir, "s/a.pem", span_of_text("-----BEGIN CERTIFICATE-----\nMI"));
    OWNED(trust_set_unref) struct trust_set *second = gather(scene, first);
    assert_non_null(trust_set_find(second, "a"));
    assert_int_equal(second->num_problems, 2);
    expect_problem(second, 0, "/s/a.pem", "not complete");
    expect_problem(second, 1, "/s/a.pem", "stay until it is mended or removed");
    OWNED(trust_set_unref) struct trust_set *third = gather(scene, second); // still
    assert_non_null(trust_set_find(third, "a"));
    put_pem(scene, "s/a.pem", scene->certs[2]);
    OWNED(trust_set_unref) struct trust_set *fourth = gather(scene, third);
    assert_int_equal(fourth->num_entries, 3);
    assert_int_equal(fourth->num_problems, 0);
    const struct trust_cert *cert = trust_set_find(fourth, "a")->cert;
    assert_true(span_equal(span_of(cert->der, cert->der_len), pki_der(scene->certs[2])));
    scratch_dir_remove(&scene->dir, "s/a.pem");
    OWNED(trust_set_unref) struct trust_set *fifth = gather(scene, fourth);
    assert_null(trust_set_find(fifth, "a")); // what is removed goes
    assert_non_null(trust_set_find(fifth, "b"));
}

static void a_source_that_breaks_and_one_that_is_gone(void **state) {
    struct scene *scene = *state;
    put_pem(scene, "s/a.pem", scene->certs[0]);
    OWNED(trust_set_unref) struct trust_set *first = gather(scene, NULL);
    assert_int_equal(
        rename(scratch_dir_path(&scene->dir, "s").text, scratch_dir_path(&scene->dir, "away").text),
        0);
    scratch_dir_link(&scene->dir, "s", "s");
    OWNED(trust_set_unref) struct trust_set *second = gather(scene, first);
    assert_non_null(trust_set_find(second, "a"));
    expect_problem(second, 0, "/s", "Too many levels of symbolic links");
    expect_problem(second, 1, "/s", "stay until");
    scratch_dir_remove(&scene->dir, "s");
    OWNED(trust_set_unref) struct trust_set *third = gather(scene, second);
    assert_null(trust_set_find(third, "a"));
    assert_int_equal(third->num_problems, 1);
    expect_problem(third, 0, "/s", "No such file or directory");
}

static void public_roots(void **state) {
    struct scene *scene = *state;
    struct err err = {0};
    struct buf der = {0};
    OWNED(pki_free) struct pki_cert *root = pki_ca();
    put_pem(scene, "roots", root);
    assert_true(trust_gather_public_roots(&scene->options, &der, &err));
    assert_true(span_equal(buf_span(&der), pki_der(root)));
    buf_fini(&der);
    scratch_dir_rewrite(&scene->dir, "roots", span_of_text("junk"));
    assert_null(trust_gather(&scene->options, NULL, PKI_NOW, &err));
    assert_non_null(strstr(err.msg, "trustStore.publicRoots"));
    scratch_dir_remove(&scene->dir, "roots");
    assert_null(trust_gather(&scene->options, NULL, PKI_NOW, &err));
    assert_non_null(strstr(err.msg, "No such file or directory"));
    scene->options.public_roots = "";
    OWNED(trust_set_unref) struct trust_set *set = gather(scene, NULL);
    assert_int_equal(set->num_entries, 0);
}

static void the_stamp_sees_every_input(void **state) {
    struct scene *scene = *state;
    struct scratch_path file = scratch_dir_path(&scene->dir, "named.pem");
    const struct trust_named named = {.name = "named", .file = file.text};
    scene->options.named = &named;
    scene->options.num_named = 1;
    uint64_t before = trust_gather_stamp(&scene->options);
    assert_true(trust_gather_stamp(&scene->options) == before);
    static const char *const names[] = {"s/new.pem", "named.pem", "roots"};
    for (size_t i = 0; i < 3; i++) {
        put_pem(scene, names[i], scene->certs[0]);
        uint64_t after = trust_gather_stamp(&scene->options);
        assert_true(after != before);
        before = after;
    }
}

static int set_up(void **state) {
    static struct scene scene;
    scene = (struct scene){0};
    scratch_dir_init(&scene.dir);
    scratch_dir_make(&scene.dir, "s");
    scene.sources[0] = scratch_dir_path(&scene.dir, "s");
    scene.roots = scratch_dir_path(&scene.dir, "roots");
    scene.source_paths[0] = scene.sources[0].text;
    for (size_t i = 0; i < 3; i++) {
        scene.certs[i] = pki_ca();
    }
    scene.options = (struct trust_options){.output = "/out",
                                           .sources = scene.source_paths,
                                           .num_sources = 1,
                                           .public_roots = scene.roots.text,
                                           .jks_password = "changeit"};
    OWNED(pki_free) struct pki_cert *root = pki_ca();
    put_pem(&scene, "roots", root);
    *state = &scene;
    return 0;
}

static int tear_down(void **state) {
    struct scene *scene = *state;
    for (size_t i = 0; i < 3; i++) {
        pki_free(scene->certs[i]);
    }
    scratch_dir_fini(&scene->dir);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_kinds_of_inputs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_bad_file_never_sinks_the_rest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_breaks_keeps_what_it_held, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_source_that_breaks_and_one_that_is_gone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(public_roots, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_stamp_sees_every_input, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
