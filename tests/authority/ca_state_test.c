// The CA's state directory: kept across restarts, closed to others, and refused when it is not
// what it should be.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "authority/ca.h"
#include "base/err.h"
#include "base/file.h"
#include "base/own.h"
#include "tests/authority/temp_dir.h"

#define NOW ((int64_t)1800000000)
#define LIFETIME ((int64_t)90000)

struct fixture {
    struct temp_dir dir;
    char state[TEMP_PATH_MAX];
    char crt[TEMP_PATH_MAX];
    char key[TEMP_PATH_MAX];
};

static int setup(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    temp_dir_init(&fixture->dir);
    temp_dir_path(&fixture->dir, "state", fixture->state);
    temp_dir_path(&fixture->dir, "state/ca.crt", fixture->crt);
    temp_dir_path(&fixture->dir, "state/ca.key", fixture->key);
    *state = fixture;
    return 0;
}

static int teardown(void **state) {
    struct fixture *fixture = *state;
    temp_dir_fini(&fixture->dir);
    free(fixture);
    return 0;
}

static struct ca *try_open(const struct fixture *fixture, const char *trust_domain, int64_t now,
                           struct err *err) {
    const struct ca_policy policy = {
        .trust_domain = trust_domain, .state_dir = fixture->state, .lifetime_s = LIFETIME};
    return ca_new(policy, now, err);
}

// Opens, gives the bundle, closes.
static void bundle_at(const struct fixture *fixture, int64_t now, struct buf *out) {
    struct err err = {0};
    OWNED(ca_free) struct ca *ca = try_open(fixture, "example.org", now, &err);
    if (ca == NULL) {
        fail_msg("%s", err.msg);
    }
    assert_true(ca_bundle(ca, out, &err));
}

static void assert_refused(const struct fixture *fixture, enum err_class class, const char *says) {
    struct err err = {0};
    OWNED(ca_free) struct ca *ca = try_open(fixture, "example.org", NOW, &err);
    if (ca != NULL || err.class != class || strstr(err.msg, says) == NULL) {
        fail_msg("expected a refusal with \"%s\", got \"%s\"", says, err.msg);
    }
}

static mode_t mode_of(const char *path) {
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void test_kept(void **state) {
    const struct fixture *fixture = *state;
    struct buf first __attribute__((cleanup(buf_fini))) = {0};
    struct buf second __attribute__((cleanup(buf_fini))) = {0};
    mode_t before = umask(0); // modes do not depend on it
    bundle_at(fixture, NOW, &first);
    (void)umask(before);
    assert_int_equal(mode_of(fixture->state), 0700);
    assert_int_equal(mode_of(fixture->key), 0600);
    bundle_at(fixture, NOW + 100, &second);
    assert_true(span_equal(buf_span(&first), buf_span(&second)));
}

static void test_renewal_is_kept(void **state) {
    const struct fixture *fixture = *state;
    struct buf first __attribute__((cleanup(buf_fini))) = {0};
    struct buf both __attribute__((cleanup(buf_fini))) = {0};
    struct buf again __attribute__((cleanup(buf_fini))) = {0};
    struct buf late __attribute__((cleanup(buf_fini))) = {0};
    bundle_at(fixture, NOW, &first);
    bundle_at(fixture, NOW + LIFETIME * 3 / 4, &both);
    assert_true(both.len > first.len);
    assert_memory_equal(buf_span(&both).ptr, buf_span(&first).ptr, first.len);
    bundle_at(fixture, NOW + LIFETIME * 3 / 4 + 1, &again);
    assert_true(span_equal(buf_span(&both), buf_span(&again)));
    bundle_at(fixture, NOW + LIFETIME + 1, &late); // the first has expired
    assert_true(span_equal(buf_span(&late), span_after(buf_span(&both), first.len)));
}

static void test_expired_starts_afresh(void **state) {
    const struct fixture *fixture = *state;
    struct buf first __attribute__((cleanup(buf_fini))) = {0};
    struct buf second __attribute__((cleanup(buf_fini))) = {0};
    bundle_at(fixture, NOW, &first);
    bundle_at(fixture, NOW + 10 * LIFETIME, &second);
    assert_false(span_equal(buf_span(&first), buf_span(&second)));
}

static void test_one_owner(void **state) {
    const struct fixture *fixture = *state;
    struct err err = {0};
    OWNED(ca_free) struct ca *ca = try_open(fixture, "example.org", NOW, &err);
    assert_non_null(ca);
    assert_refused(fixture, ERR_ENVIRONMENT, "in use by another authority");
}

static void test_other_trust_domain(void **state) {
    const struct fixture *fixture = *state;
    struct buf first __attribute__((cleanup(buf_fini))) = {0};
    struct err err = {0};
    bundle_at(fixture, NOW, &first);
    assert_null(try_open(fixture, "example.com", NOW, &err));
    assert_int_equal(err.class, ERR_INPUT);
    assert_non_null(strstr(err.msg, "another trust domain"));
}

static void test_open_to_others(void **state) {
    const struct fixture *fixture = *state;
    struct buf first __attribute__((cleanup(buf_fini))) = {0};
    bundle_at(fixture, NOW, &first);
    assert_int_equal(chmod(fixture->state, 0755), 0);
    assert_refused(fixture, ERR_ENVIRONMENT, "0700");
    assert_int_equal(mode_of(fixture->state), 0755); // we do not touch what is not clearly ours
    assert_int_equal(chmod(fixture->state, 0700), 0);
    assert_int_equal(chmod(fixture->key, 0640), 0);
    assert_refused(fixture, ERR_ENVIRONMENT, "0600");
}

static void test_not_a_directory(void **state) {
    const struct fixture *fixture = *state;
    char path[TEMP_PATH_MAX];
    temp_dir_write(&fixture->dir, "state", "x", 1, path);
    assert_refused(fixture, ERR_ENVIRONMENT, "state");
}

static void write_text(const char *path, const char *text) {
    struct err err = {0};
    assert_true(file_write_atomic(path, span_of_text(text), 0600, &err));
}

static void test_broken_files(void **state) {
    const struct fixture *fixture = *state;
    struct err err = {0};
    struct buf bundle __attribute__((cleanup(buf_fini))) = {0};
    struct buf crt __attribute__((cleanup(buf_fini))) = {0};
    struct buf key __attribute__((cleanup(buf_fini))) = {0};
    bundle_at(fixture, NOW, &bundle);
    assert_true(file_read(fixture->crt, 65536, &crt, &err));
    assert_true(file_read(fixture->key, 65536, &key, &err));

    write_text(fixture->crt, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_refused(fixture, ERR_INPUT, "cannot be read");
    assert_true(
        file_write_atomic(fixture->crt, span_of(buf_span(&crt).ptr, crt.len / 2), 0600, &err));
    assert_refused(fixture, ERR_INPUT, "cannot be read"); // never a silent new CA
    assert_true(file_write_atomic(fixture->crt, buf_span(&crt), 0600, &err));

    write_text(fixture->key, "");
    assert_refused(fixture, ERR_INPUT, "no key");
    assert_int_equal(unlink(fixture->key), 0);
    assert_refused(fixture, ERR_INPUT, "ca.key");
    assert_true(file_write_atomic(fixture->key, buf_span(&key), 0600, &err));
    bundle_at(fixture, NOW, &bundle); // the control: whole again
}

// A crash between the two files: the keys are already the new ones, the certificates the old.
static void test_crash_between_files(void **state) {
    const struct fixture *fixture = *state;
    struct err err = {0};
    struct buf first __attribute__((cleanup(buf_fini))) = {0};
    struct buf after __attribute__((cleanup(buf_fini))) = {0};
    struct buf crt __attribute__((cleanup(buf_fini))) = {0};
    bundle_at(fixture, NOW, &first);
    assert_true(file_read(fixture->crt, 65536, &crt, &err));
    buf_clear(&first);
    bundle_at(fixture, NOW + LIFETIME * 3 / 4, &first);
    assert_true(file_write_atomic(fixture->crt, buf_span(&crt), 0600, &err));
    bundle_at(fixture, NOW + 1, &after);
    assert_true(after.len > 0 && after.len < first.len);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_renewal_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_expired_starts_afresh, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_owner, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_trust_domain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_to_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_a_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_crash_between_files, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
