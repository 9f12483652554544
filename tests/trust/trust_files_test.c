// Which files a store has, and what is in them.
#include "certmgr/trust/trust_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "certmgr/pem.h"
#include "tests/trust/trust_fixture.h"

static const struct trust_options options = {.output = "/out", .jks_password = "changeit"};

static const struct trust_file *find(const struct trust_files *files, const char *path) {
    for (size_t i = 0; i < files->num; i++) {
        if (strcmp(files->items[i].path, path) == 0) {
            return &files->items[i];
        }
    }
    return NULL;
}

// What the file says that it holds is exactly the entries that belong there, in their order.
static void expect_pem(const struct trust_files *files, const char *path,
                       const struct trust_set *set,
                       bool (*belongs)(const struct trust_entry *entry)) {
    struct buf found = {0}, wanted = {0};
    struct err err = {0};
    const struct trust_file *file = find(files, path);
    assert_non_null(file);
    assert_true(pem_parse_certificates(buf_span(&file->content), path, &found, &err));
    for (size_t i = 0; i < set->num_entries; i++) {
        const struct trust_cert *cert = set->entries[i]->cert;
        assert_true(!belongs(set->entries[i]) || buf_append(&wanted, cert->der, cert->der_len));
    }
    assert_true(span_equal(buf_span(&found), buf_span(&wanted)));
    buf_fini(&found);
    buf_fini(&wanted);
}

static void render(const struct trust_set *set, struct trust_files *out) {
    struct err err = {0};
    if (!trust_files_render(set, &options, out, &err)) {
        fail_msg("%s", err.msg);
    }
}

static void the_files(void **state) {
    (void)state;
    OWNED(trust_set_unref) struct trust_set *set = trust_fixture_set();
    struct trust_files files = {0};
    render(set, &files);
    expect_pem(&files, "ca-bundle.pem", set, trust_set_is_in_bundle);
    expect_pem(&files, "ca-extra.pem", set, trust_set_is_in_extra);
    for (size_t i = 0; i < set->num_entries; i++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "certs/%08x.0", set->entries[i]->cert->name_hash);
        assert_non_null(find(&files, path));
    }
    assert_non_null(find(&files, "certs/public/alpha"));
    assert_non_null(find(&files, "certs/public/beta"));
    assert_non_null(find(&files, "truststore.p12"));
    assert_non_null(find(&files, "truststore.jks"));
    assert_non_null(find(&files, "env"));
    assert_non_null(find(&files, "env.sh"));
    assert_non_null(find(&files, "php/pavise-trust.ini"));
    assert_int_equal(files.num, 2 + 3 + 2 + 2 + 3);
    trust_files_fini(&files);
}

// OpenSSL finds the second certificate of one subject under .1.
static void equal_subjects(void **state) {
    (void)state;
    const struct pki_options same = {.ca = true, .common_name = "Same"};
    struct trust_builder *builder = trust_builder_new(0, PKI_NOW);
    uint32_t hash = 0;
    for (int i = 0; i < 3; i++) {
        OWNED(pki_free) struct pki_cert *cert = pki_issue(NULL, &same);
        trust_fixture_add(builder, TRUST_USER, "same", cert);
    }
    OWNED(trust_set_unref) struct trust_set *set = trust_builder_finish(builder);
    struct trust_files files = {0};
    render(set, &files);
    hash = set->entries[0]->cert->name_hash;
    for (int i = 0; i < 4; i++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "certs/%08x.%d", hash, i);
        assert_int_equal(find(&files, path) != NULL, i < 3);
    }
    trust_files_fini(&files);
}

static void the_digest(void **state) {
    (void)state;
    OWNED(trust_set_unref) struct trust_set *set = trust_fixture_set();
    struct trust_files one = {0}, same = {0};
    char first[TRUST_FILES_DIGEST_LEN + 1], second[TRUST_FILES_DIGEST_LEN + 1];
    render(set, &one);
    render(set, &same);
    trust_files_digest(&one, first);
    trust_files_digest(&same, second);
    assert_string_equal(first, second);
    assert_int_equal(strlen(first), TRUST_FILES_DIGEST_LEN);
    assert_true(buf_append_text(&same.items[0].content, "x"));
    trust_files_digest(&same, second);
    assert_string_not_equal(first, second);
    trust_files_fini(&one);
    trust_files_fini(&same);
}

static void an_empty_set(void **state) {
    (void)state;
    OWNED(trust_set_unref)
    struct trust_set *set = trust_builder_finish(trust_builder_new(0, PKI_NOW));
    struct trust_files files = {0};
    render(set, &files);
    assert_int_equal(find(&files, "ca-bundle.pem")->content.len, 0);
    assert_int_equal(files.num, 7);
    trust_files_fini(&files);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_files),
        cmocka_unit_test(equal_subjects),
        cmocka_unit_test(the_digest),
        cmocka_unit_test(an_empty_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
