// /trust as JSON.
#include "agent/status/render_trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

#include "tests/trust/trust_fixture.h"

static json_t *load(struct buf *text) {
    json_t *json = json_loadb((const char *)buf_span(text).ptr, text->len, 0, NULL);
    assert_non_null(json);
    buf_fini(text);
    return json;
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "(none)" : text;
}

static void a_store(void **state) {
    (void)state;
    struct trust_process_view process = {.pid = 7, .command = "java", .needs_restart = true};
    struct trust_view view = {.state = TRUST_STATE_WRITTEN,
                              .generation = 3,
                              .written_ms = PKI_NOW * INT64_C(1000),
                              .set = trust_fixture_set(),
                              .processes = &process,
                              .num_processes = 1};
    struct buf out = {0};
    (void)snprintf(view.output, sizeof(view.output), "/run/trust");
    assert_true(render_trust_view(&out, &view, (struct render_trust_scope){.rows_max = 10}));
    json_t *json = load(&out);
    assert_string_equal(text_of(json, "state"), "written");
    assert_string_equal(text_of(json, "writtenAt"), "2027-01-15T08:00:00Z");
    assert_true(json_is_true(json_object_get(json, "restartNeeded")));
    assert_int_equal(json_integer_value(json_object_get(json, "generation")), 3);
    assert_int_equal(json_integer_value(json_object_get(json, "total")), 2);
    assert_true(json_is_false(json_object_get(json, "truncated")));
    assert_int_equal(json_array_size(json_object_get(json, "certificates")), 2); // the user's
    const json_t *row = json_array_get(json_object_get(json, "processes"), 0);
    assert_string_equal(text_of(row, "command"), "java");
    json_decref(json);
    const struct render_trust_scope two = {.all = true, .rows_max = 2};
    assert_true(render_trust_view(&out, &view, two));
    json = load(&out);
    assert_int_equal(json_array_size(json_object_get(json, "certificates")), 2);
    assert_int_equal(json_integer_value(json_object_get(json, "total")), 3);
    assert_true(json_is_true(json_object_get(json, "truncated")));
    json_decref(json);
    trust_set_unref(view.set);
}

static void a_certificate(void **state) {
    (void)state;
    OWNED(trust_set_unref) struct trust_set *set = trust_fixture_set();
    const struct trust_entry *entry = trust_set_find(set, "alpha");
    struct buf out = {0};
    char sha1[2 * TRUST_CERT_SHA1_LEN + 1];
    assert_true(render_trust_entry(&out, entry));
    json_t *json = load(&out);
    trust_cert_hex(entry->cert->sha1, TRUST_CERT_SHA1_LEN, sha1);
    assert_string_equal(text_of(json, "name"), "alpha");
    assert_string_equal(text_of(json, "thumbprint"), sha1);
    assert_string_equal(text_of(json, "subjectName"), entry->cert->subject);
    assert_string_equal(text_of(json, "issuedDate"), "2000-01-01T00:00:00Z");
    assert_string_equal(text_of(json, "activateDate"), "2000-01-01T00:00:00Z");
    assert_string_equal(text_of(json, "expirationDate"), "2100-01-01T00:00:00Z");
    assert_string_equal(text_of(json, "origin"), "user");
    assert_int_equal(json_array_size(json_object_get(json, "outputs")), 6);
    assert_int_equal(json_array_size(json_object_get(json, "warnings")), 0);
    json_decref(json);
}

static void nothing_yet(void **state) {
    (void)state;
    const struct trust_view view = {.state = TRUST_STATE_PENDING, .last_error = "why\x1b[31m"};
    struct buf out = {0};
    assert_true(render_trust_view(&out, &view, (struct render_trust_scope){.all = true}));
    json_t *json = load(&out);
    assert_string_equal(text_of(json, "state"), "pending");
    assert_string_equal(text_of(json, "lastError"), "why\xef\xbf\xbd[31m");
    assert_true(json_is_null(json_object_get(json, "writtenAt")));
    assert_int_equal(json_array_size(json_object_get(json, "certificates")), 0);
    json_decref(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store),
        cmocka_unit_test(a_certificate),
        cmocka_unit_test(nothing_yet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
