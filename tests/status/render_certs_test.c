#include "agent/status/render_certs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

#include "tests/status/fake_backend.h"
#include "tests/status/json_checks.h"
#include "tests/testing/pki.h"
#include "tests/testing/pki_identity.h"
#include "tests/trust/trust_fixture.h"

static json_t *render_certs(const struct identity_view *view, int64_t now_ms) {
    struct buf out = {0};
    const struct view none = {0};
    const struct render_certs_input input = {
        .identity = view, .configured = &none, .now_ms = now_ms};
    assert_true(render_certs_json(&out, &input));
    return json_checks_parse(&out);
}

static void test_certs(void **state UNUSED) {
    struct fake_backend fake;
    fake_backend_init(&fake);
    int64_t end = svid_not_after(identity_svid(fake.identity.identity));
    json_t *json = render_certs(&fake.identity, (end - 100) * 1000);
    json_t *row = json_checks_first(json, "certificates");
    json_checks_text(row, "kind", "identity");
    json_checks_text(row, "name", FAKE_BACKEND_ID);
    json_checks_text(row, "state", "valid");
    json_checks_number(row, "secondsLeft", 100);
    row = json_array_get(json_object_get(json, "certificates"), 1);
    json_checks_text(row, "kind", "trust_bundle");
    json_checks_text(row, "name", "example.org");
    json_decref(json);
    json = render_certs(&fake.identity, end * 1000);
    json_checks_text(json_checks_first(json, "certificates"), "state", "expired");
    json_decref(json);
    json = render_certs(&fake.identity, (end - 10000) * 1000);
    json_checks_text(json_checks_first(json, "certificates"), "state", "notYetValid");
    json_decref(json);
    fake_backend_fini(&fake);
}

static void test_certs_of_the_trust_store(void **state UNUSED) {
    const struct identity_view none = {0};
    struct buf out = {0};
    OWNED(trust_set_unref) struct trust_set *set = trust_fixture_set();
    const struct view nothing = {0};
    const struct render_certs_input input = {.identity = &none,
                                             .trusted = set,
                                             .configured = &nothing,
                                             .now_ms = PKI_NOW * INT64_C(1000)};
    assert_true(render_certs_json(&out, &input));
    json_t *json = json_checks_parse(&out);
    const json_t *rows = json_object_get(json, "certificates");
    assert_int_equal(json_array_size(rows), 2); // not the public root
    json_t *row = json_array_get(rows, 0);
    json_checks_text(row, "kind", "trust");
    json_checks_text(row, "state", "valid");
    json_checks_text(row, "notAfter", "2100-01-01T00:00:00Z");
    json_checks_text(row, "subjectName",
                     set->entries[0]->origin == TRUST_USER ? set->entries[0]->cert->subject
                                                           : set->entries[1]->cert->subject);
    json_decref(json);
}

static void test_certs_of_the_configuration(void **state UNUSED) {
    struct certificate_view rows[] = {
        {.logical_name = "inbound/8443/www", .path = "/a\x1b[31m.crt", .not_after = 1100},
        {.logical_name = "outbound/r/serverCerts", .path = "/b.crt", .not_after = 1000},
    };
    const struct view configured = {.certificates = rows, .num_certificates = 2};
    const struct identity_view none = {0};
    struct buf out = {0};
    assert_true(render_certs_json(&out, &(struct render_certs_input){.identity = &none,
                                                                     .configured = &configured,
                                                                     .now_ms = 1000000}));
    json_t *json = json_checks_parse(&out);
    json_t *row = json_checks_first(json, "certificates");
    json_checks_text(row, "kind", "configured");
    json_checks_text(row, "name", "inbound/8443/www");
    json_checks_text(row, "state", "valid");
    json_checks_number(row, "secondsLeft", 100);
    assert_null(strchr(json_string_value(json_object_get(row, "path")), '\x1b'));
    row = json_array_get(json_object_get(json, "certificates"), 1);
    json_checks_text(row, "state", "expired");
    assert_null(json_object_get(row, "staple"));
    json_decref(json);
}

// At 1000 s.
static json_t *render_staple(struct staple_view staple) {
    struct certificate_view cert = {.logical_name = "inbound/8443/www", .staple = staple};
    const struct view configured = {.certificates = &cert, .num_certificates = 1};
    const struct identity_view none = {0};
    struct buf out = {0};
    assert_true(render_certs_json(&out, &(struct render_certs_input){.identity = &none,
                                                                     .configured = &configured,
                                                                     .now_ms = 1000000}));
    return json_checks_parse(&out);
}

static void test_staples(void **state UNUSED) {
    const struct {
        struct staple_view view;
        bool stapled;
        const char *until;
    } cases[] = {
        {{.status = "good", .is_wanted = true, .until = 1001}, true, "1970-01-01T00:16:41Z"},
        {{.status = "good", .is_wanted = true, .until = INT64_MAX}, true, NULL},
        {{.status = "good", .is_wanted = true, .until = 1000}, false, "1970-01-01T00:16:40Z"},
        {{.status = "good", .is_wanted = true, .from = 1001, .until = 2000},
         false,
         "1970-01-01T00:33:20Z"},
        {{.status = "revoked", .until = 1001}, false, "1970-01-01T00:16:41Z"},
        {{.status = "pending", .last_error = "why\x1b"}, false, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *json = render_staple(cases[i].view);
        json_t *staple = json_object_get(json_checks_first(json, "certificates"), "staple");
        const json_t *until = json_object_get(staple, "until");
        json_checks_text(staple, "status", cases[i].view.status);
        assert_int_equal(json_is_true(json_object_get(staple, "stapled")), cases[i].stapled);
        assert_true(json_is_null(json_object_get(staple, "asked")));
        if (cases[i].until == NULL) {
            assert_true(json_is_null(until));
        } else {
            assert_string_equal(json_string_value(until), cases[i].until);
        }
        assert_null(strchr(json_string_value(json_object_get(staple, "lastError")), '\x1b'));
        json_decref(json);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_certs),
        cmocka_unit_test(test_certs_of_the_trust_store),
        cmocka_unit_test(test_certs_of_the_configuration),
        cmocka_unit_test(test_staples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
