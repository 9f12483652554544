#include "certmgr/sds_material.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "tests/certmgr/sds_fixture.h"

#define ID "spiffe://example.org/web"

static struct sds_data inline_of(struct span bytes) {
    struct sds_data data = {.kind = SDS_DATA_INLINE};
    assert_true(update_bytes_set(&data.value, bytes));
    return data;
}

static struct sds_data named(enum sds_data_kind kind, const char *name) {
    struct sds_data data = {.kind = kind};
    assert_true(update_bytes_set(&data.value, span_of(name, strlen(name) + 1)));
    return data;
}

static struct sds_secret *secret_new(enum sds_secret_kind kind) {
    struct sds_secret *secret = calloc(1, sizeof(*secret));
    assert_non_null(secret);
    secret->kind = kind;
    return secret;
}

static struct sds_secret *certificate_of(const struct pki_cert *leaf, const struct pki_cert *key) {
    struct sds_secret *secret = secret_new(SDS_SECRET_CERTIFICATE);
    struct buf pem = {0};
    sds_fixture_key_pem(key, &pem);
    secret->chain = inline_of(pki_der(leaf));
    secret->key = inline_of(buf_span(&pem));
    buf_fini(&pem);
    return secret;
}

static struct sds_secret *validator_of(const char *const *names, struct span bundle, size_t num) {
    struct sds_secret *secret = secret_new(SDS_SECRET_BUNDLE);
    secret->domains = calloc(num, sizeof(*secret->domains));
    assert_non_null(secret->domains);
    secret->num_domains = num;
    for (size_t i = 0; i < num; i++) {
        assert_true(update_bytes_set(&secret->domains[i].name, span_of_text(names[i])));
        secret->domains[i].bundle = inline_of(bundle);
    }
    return secret;
}

static void assert_not_loaded(const struct sds_secret *secret, const char *part) {
    struct err err = {0};
    assert_null(sds_material_load(secret, &err));
    if (strstr(err.msg, part) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.msg, part);
    }
}

static void certificate_must_fit_its_key(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(ca, ID);
    struct pki_cert *other OWNED(pki_free) = pki_leaf(ca, ID);
    struct sds_secret *good OWNED(sds_secret_free) = certificate_of(leaf, leaf);
    struct sds_secret *bad OWNED(sds_secret_free) = certificate_of(leaf, other);
    struct err err;
    struct update *update OWNED(update_free) = sds_material_load(good, &err);
    assert_non_null(update);
    assert_int_equal(update->num_svids, 1);
    assert_true(span_equal_text(update_bytes_span(&update->svids[0].spiffe_id), ID));
    assert_true(span_equal(update_bytes_span(&update->svids[0].chain), pki_der(leaf)));
    assert_true(span_equal(update_bytes_span(&update->svids[0].key), pki_key_der(leaf)));
    assert_not_loaded(bad, "key");
    struct sds_secret *ca_itself OWNED(sds_secret_free) = certificate_of(ca, ca);
    assert_not_loaded(ca_itself, "");
}

static void data_comes_from_files_and_the_environment(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(ca, ID);
    struct buf pem = {0};
    struct err err;
    char path[] = "/tmp/pavise-material-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    sds_fixture_pem(leaf, &pem);
    assert_true(buf_append(&pem, "", 1));
    setenv("PAVISE_TEST_CHAIN", (const char *)buf_span(&pem).ptr, 1);
    struct sds_secret *secret OWNED(sds_secret_free) = secret_new(SDS_SECRET_CERTIFICATE);
    secret->chain = named(SDS_DATA_ENVIRONMENT, "PAVISE_TEST_CHAIN");
    secret->key = named(SDS_DATA_FILE, path);
    assert_not_loaded(secret, path); // empty as yet
    struct sds_mark before = sds_material_mark(secret);
    assert_true(file_write_atomic(path, pki_key_der(leaf), 0600, &err));
    assert_true(sds_material_mark(secret).hash != before.hash);
    assert_true(sds_material_mark(secret).hash == sds_material_mark(secret).hash);
    assert_true(sds_material_mark(secret).is_fresh);
    assert_true(sds_material_has_files(secret));
    struct update *update OWNED(update_free) = sds_material_load(secret, &err);
    assert_non_null(update);
    unsetenv("PAVISE_TEST_CHAIN");
    assert_not_loaded(secret, "no environment variable PAVISE_TEST_CHAIN");
    unlink(path);
    buf_fini(&pem);
}

static void relative_and_odd_files_are_refused(void **state) {
    (void)state;
    static const char *const PATHS[] = {"key.pem", "", "/nonexistent/key", "/dev/zero", "/"};
    static const char *const PARTS[] = {"absolute", "absolute", "/nonexistent/key", "/dev/zero",
                                        "/"};
    for (size_t i = 0; i < sizeof(PATHS) / sizeof(PATHS[0]); i++) {
        struct sds_secret *secret OWNED(sds_secret_free) = secret_new(SDS_SECRET_BUNDLE);
        secret->trusted_ca = named(SDS_DATA_FILE, PATHS[i]);
        assert_not_loaded(secret, PARTS[i]);
    }
}

static struct update *join(const struct update *certificate, const struct sds_secret *secret,
                           struct err *err) {
    struct update *bundle OWNED(update_free) = sds_material_load(secret, err);
    assert_non_null(bundle);
    return sds_material_join(certificate, bundle, err);
}

static struct update *certificate_new(const struct pki_cert *ca) {
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(ca, ID);
    struct sds_secret *secret OWNED(sds_secret_free) = certificate_of(leaf, leaf);
    struct err err;
    struct update *update = sds_material_load(secret, &err);
    assert_non_null(update);
    return update;
}

static void plain_ca_is_for_the_own_trust_domain(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct pki_bytes *crl OWNED(pki_bytes_free) = pki_crl(ca, NULL, PKI_NOW - 1000, PKI_NOW + 1000);
    struct update *certificate OWNED(update_free) = certificate_new(ca);
    struct sds_secret *secret OWNED(sds_secret_free) = secret_new(SDS_SECRET_BUNDLE);
    secret->trusted_ca = inline_of(pki_der(ca));
    secret->crl = inline_of(pki_span(crl));
    struct err err;
    struct update *joined OWNED(update_free) = join(certificate, secret, &err);
    assert_non_null(joined);
    assert_true(span_equal(update_bytes_span(&joined->svids[0].bundle), pki_der(ca)));
    assert_int_equal(joined->num_federated, 0);
    assert_int_equal(joined->num_crls, 1);
    assert_true(span_equal(update_bytes_span(&joined->crls[0]), pki_span(crl)));
}

static void validator_has_the_own_and_federated_domains(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct update *certificate OWNED(update_free) = certificate_new(ca);
    const char *names[] = {"other.org", "example.org", "third.org"};
    struct sds_secret *secret OWNED(sds_secret_free) = validator_of(names, pki_der(ca), 3);
    struct err err = {0};
    struct update *joined OWNED(update_free) = join(certificate, secret, &err);
    assert_non_null(joined);
    assert_true(span_equal(update_bytes_span(&joined->svids[0].bundle), pki_der(ca)));
    assert_int_equal(joined->num_federated, 2);
    assert_true(span_equal_text(update_bytes_span(&joined->federated[0].trust_domain_id),
                                "spiffe://other.org"));
    assert_true(span_equal_text(update_bytes_span(&joined->federated[1].trust_domain_id),
                                "spiffe://third.org"));
    const char *foreign[] = {"other.org", "example.org.evil", "xexample.org"};
    struct sds_secret *without OWNED(sds_secret_free) = validator_of(foreign, pki_der(ca), 3);
    assert_null(join(certificate, without, &err));
    assert_non_null(strstr(err.msg, "no trust bundle for the trust domain of " ID));
}

static void bad_bundles_are_refused(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(ca, ID);
    static const char *const NAMES[] = {
        "", "Example.org", "spiffe://a.org", "a.org/path", "a.org:1", "a%2eorg", "a b"};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        struct sds_secret *secret OWNED(sds_secret_free) = validator_of(&NAMES[i], pki_der(ca), 1);
        assert_not_loaded(secret, "trust domain that is none");
    }
    struct span bad[] = {pki_der(leaf), span_of_text("garbage"),
                         span_of(pki_der(ca).ptr, pki_der(ca).len - 1)};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct sds_secret *secret OWNED(sds_secret_free) = secret_new(SDS_SECRET_BUNDLE);
        secret->trusted_ca = inline_of(bad[i]);
        assert_not_loaded(secret, "");
    }
    struct sds_secret *secret OWNED(sds_secret_free) = secret_new(SDS_SECRET_BUNDLE);
    secret->trusted_ca = inline_of(pki_der(ca));
    secret->crl = inline_of(pki_der(ca));
    assert_not_loaded(secret, "its crl");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificate_must_fit_its_key),
        cmocka_unit_test(data_comes_from_files_and_the_environment),
        cmocka_unit_test(relative_and_odd_files_are_refused),
        cmocka_unit_test(plain_ca_is_for_the_own_trust_domain),
        cmocka_unit_test(validator_has_the_own_and_federated_domains),
        cmocka_unit_test(bad_bundles_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
