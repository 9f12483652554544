// What an SDS client keeps: partial pushes, refusals that change nothing, files that come later.
#include "certmgr/sds_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "tests/certmgr/sds_fixture.h"

#define WEB "spiffe://example.org/web"
#define OTHER "spiffe://example.org/other"

static struct sds_state *new_state(void) {
    struct sds_state *sds = sds_state_new("default", "ROOTCA");
    assert_non_null(sds);
    return sds;
}

static bool apply_wire(struct sds_state *sds, struct buf *wire, struct err *err) {
    struct sds_response *response OWNED(sds_response_free) =
        sds_decode_response(buf_span(wire), err);
    assert_non_null(response);
    buf_fini(wire);
    return sds_state_apply(sds, response, err);
}

static bool apply(struct sds_state *sds, const char *version, const struct pki_cert *ca,
                  const char *id, const struct pki_cert *roots) {
    struct buf wire = {0};
    struct err err = {0};
    sds_fixture_usual(&wire, version, ca, id, roots);
    return apply_wire(sds, &wire, &err);
}

static bool apply_fixture(struct sds_state *sds, struct sds_fixture *fixture, struct err *err) {
    struct buf wire = {0};
    sds_fixture_render(fixture, "f", "nonce", &wire);
    sds_fixture_fini(fixture);
    return apply_wire(sds, &wire, err);
}

static void assert_holds(const struct sds_state *sds, const char *id, const struct pki_cert *ca) {
    struct err err = {0};
    struct update *update OWNED(update_free) = sds_state_update(sds, &err);
    assert_non_null(update);
    assert_true(span_equal_text(update_bytes_span(&update->svids[0].spiffe_id), id));
    assert_true(span_equal(update_bytes_span(&update->svids[0].bundle), pki_der(ca)));
}

static void absence_is_not_deletion(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct pki_cert *next OWNED(pki_free) = pki_ca();
    struct sds_state *sds OWNED(sds_state_free) = new_state();
    struct err err = {0};
    assert_true(sds_state_has_problem(sds, &err));
    assert_non_null(strstr(err.msg, "neither the secret \"default\" nor \"ROOTCA\""));
    assert_true(apply(sds, "1", ca, WEB, NULL));
    assert_false(sds_state_is_complete(sds));
    assert_null(sds_state_update(sds, &err));
    assert_non_null(strstr(err.msg, "not sent the secret \"ROOTCA\""));
    assert_true(apply(sds, "2", ca, NULL, ca));
    assert_true(sds_state_is_complete(sds));
    assert_false(sds_state_has_problem(sds, &err));
    assert_holds(sds, WEB, ca);
    assert_true(apply(sds, "3", ca, NULL, NULL));
    assert_holds(sds, WEB, ca);
    assert_true(apply(sds, "4", ca, OTHER, NULL));
    assert_holds(sds, OTHER, ca);
    assert_true(apply(sds, "5", ca, NULL, next));
    assert_holds(sds, OTHER, next);
    assert_true(span_equal_text(sds_state_version(sds), "5"));
}

static void refused_response_changes_nothing(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(ca, OTHER);
    struct sds_state *sds OWNED(sds_state_free) = new_state();
    assert_true(apply(sds, "1", ca, WEB, ca));
    struct sds_fixture fixture = {0};
    struct err err = {0};
    // The certificate is good, the bundle is not: neither is taken.
    sds_fixture_certificate(&fixture, "default", sds_fixture_inline(pki_der(leaf)),
                            sds_fixture_inline(pki_key_der(leaf)));
    sds_fixture_bundle(&fixture, "ROOTCA", sds_fixture_inline(span_of_text("garbage")));
    assert_false(apply_fixture(sds, &fixture, &err));
    assert_non_null(strstr(err.msg, "\"ROOTCA\""));
    assert_holds(sds, WEB, ca);
    assert_true(span_equal_text(sds_state_version(sds), "1"));
    // Each under the other's name.
    sds_fixture_bundle(&fixture, "default", sds_fixture_inline(pki_der(ca)));
    assert_false(apply_fixture(sds, &fixture, &err));
    assert_non_null(strstr(err.msg, "is not a TLS certificate"));
    sds_fixture_certificate(&fixture, "ROOTCA", sds_fixture_inline(pki_der(leaf)),
                            sds_fixture_inline(pki_key_der(leaf)));
    assert_false(apply_fixture(sds, &fixture, &err));
    assert_non_null(strstr(err.msg, "is not a validation context"));
    sds_fixture_bundle(&fixture, "ROOTCA", sds_fixture_inline(pki_der(ca)));
    sds_fixture_bundle(&fixture, "ROOTCA", sds_fixture_inline(pki_der(ca)));
    assert_false(apply_fixture(sds, &fixture, &err));
    assert_holds(sds, WEB, ca);
    // What nobody asked for is passed over, as long as it is well formed.
    sds_fixture_bundle(&fixture, "strange", sds_fixture_inline(span_of_text("garbage")));
    assert_true(apply_fixture(sds, &fixture, &err));
    assert_holds(sds, WEB, ca);
}

static void files_are_waited_for_and_followed(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct pki_cert *next OWNED(pki_free) = pki_ca();
    struct sds_state *sds OWNED(sds_state_free) = new_state();
    char folder[] = "/tmp/pavise-sds-state-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[64];
    snprintf(path, sizeof(path), "%s/ca", folder);
    assert_true(apply(sds, "1", ca, WEB, ca));
    assert_false(sds_state_has_files(sds));
    assert_false(sds_state_reload(sds));
    struct sds_fixture fixture = {0};
    struct err err = {0};
    sds_fixture_bundle(&fixture, "ROOTCA", sds_fixture_file(path));
    assert_true(apply_fixture(sds, &fixture, &err)); // the response is fine, the file is missing
    assert_true(sds_state_has_files(sds));
    assert_true(sds_state_has_problem(sds, &err));
    assert_non_null(strstr(err.msg, path));
    assert_holds(sds, WEB, ca); // as before
    assert_false(sds_state_reload(sds));
    assert_true(file_write_atomic(path, pki_der(next), 0600, &err));
    assert_true(sds_state_reload(sds));
    assert_false(sds_state_has_problem(sds, &err));
    assert_holds(sds, WEB, next);
    assert_true(file_write_atomic(path, span_of_text("torn"), 0600, &err));
    assert_true(sds_state_reload(sds));
    assert_true(sds_state_has_problem(sds, &err));
    assert_holds(sds, WEB, next);
    assert_true(file_write_atomic(path, pki_der(ca), 0600, &err));
    assert_true(sds_state_reload(sds));
    assert_holds(sds, WEB, ca);
    unlink(path);
    assert_true(sds_state_reload(sds));
    assert_holds(sds, WEB, ca);
    rmdir(folder);
}

static void what_is_withdrawn_is_forgotten(void **state) {
    (void)state;
    struct pki_cert *ca OWNED(pki_free) = pki_ca();
    struct sds_state *sds OWNED(sds_state_free) = new_state();
    struct err err = {0};
    assert_true(apply(sds, "1", ca, WEB, ca));
    sds_state_forget(sds);
    assert_false(sds_state_is_complete(sds));
    assert_null(sds_state_update(sds, &err));
    assert_int_equal(sds_state_version(sds).len, 0);
    assert_true(apply(sds, "2", ca, WEB, ca));
    assert_holds(sds, WEB, ca);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absence_is_not_deletion),
        cmocka_unit_test(refused_response_changes_nothing),
        cmocka_unit_test(files_are_waited_for_and_followed),
        cmocka_unit_test(what_is_withdrawn_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
