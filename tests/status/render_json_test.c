#include "agent/status/render_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/clock.h"
#include "tests/status/fake_backend.h"
#include "tests/status/json_checks.h"
#include "tests/trust/trust_fixture.h"

typedef bool render_fn(struct buf *out, const struct view *view);

static json_t *render(render_fn *fn, const struct view *view) {
    struct buf out = {0};
    assert_true(fn(&out, view));
    return json_checks_parse(&out);
}

static void check_null(json_t *row, const char *key) {
    assert_true(json_is_null(json_object_get(row, key)));
}

static void check_time(json_t *row, const char *key) {
    int year, month, day, hour, minute;
    char zone;
    const char *text = json_string_value(json_object_get(row, key));
    assert_non_null(text);
    assert_int_equal(
        sscanf(text, "%4d-%2d-%2dT%2d:%2d:%*[0-9.]%c", &year, &month, &day, &hour, &minute, &zone),
        6);
    assert_int_equal(zone, 'Z');
}

static void test_lists(void **state UNUSED) {
    struct fake_backend fake;
    fake_backend_init(&fake);
    fake.view.workers_missing = 1;
    json_t *json = render(render_json_connections, &fake.view);
    json_t *row = json_checks_first(json, "connections");
    json_checks_number(row, "id", 7);
    json_checks_text(row, "direction", "outbound");
    json_checks_text(row, "source", "10.0.0.2:40000");
    json_checks_text(row, "via", "10.0.0.1:15008");
    json_checks_text(row, "peerId", "spiffe://example.org/ns/default/sa/redis");
    json_checks_number(row, "bytesReceived", 70000000);
    json_checks_number(row, "tunnelId", 3);
    check_null(row, "rule");
    check_time(row, "openedAt");
    assert_non_null(
        strchr(json_string_value(json_object_get(row, "openedAt")), '.')); // of a second
    check_time(row, "peerNotAfter");
    json_checks_number(json, "total", 1);
    json_checks_number(json, "workersMissing", 1);
    assert_true(json_is_false(json_object_get(json, "truncated")));
    json_decref(json);

    json = render(render_json_tunnels, &fake.view);
    row = json_checks_first(json, "tunnels");
    json_checks_text(row, "tlsVersion", "TLSv1.3");
    json_checks_number(row, "identityGeneration", 4);
    json_checks_text(row, "ownSerial", "ff01");
    json_decref(json);

    json = render(render_json_listeners, &fake.view);
    row = json_checks_first(json, "listeners");
    json_checks_text(row, "address", "127.0.0.1:7000");
    assert_true(json_is_true(json_object_get(row, "accepting")));
    json_decref(json);

    json = render(render_json_destinations, &fake.view);
    row = json_checks_first(json, "destinations");
    json_checks_text(row, "address", "10.0.0.1");
    json_checks_text(row, "state", "pinned");
    check_null(row, "lastError");
    json_decref(json);

    json = render(render_json_refusals, &fake.view);
    row = json_checks_first(json, "refusals");
    check_time(row, "at");
    json_checks_text(row, "direction", "inbound");
    json_checks_text(row, "reason", "unauthorized");
    json_checks_text(row, "sentence", "inbound.authorization refused the peer");
    json_checks_text(row, "destination", "10.0.0.2:8080");
    json_checks_text(row, "detail", "port 8080 is for spiffe://example.org/ns/*/sa/front only");
    json_decref(json);
    fake_backend_fini(&fake);
}

static void test_empty_and_sparse(void **state UNUSED) {
    struct view view = {0};
    json_t *json = render(render_json_connections, &view);
    assert_int_equal(json_array_size(json_object_get(json, "connections")), 0);
    json_decref(json);
    struct tunnel_view *tunnel = view_add_tunnel(&view);
    tunnel->state = "connecting";
    json = render(render_json_tunnels, &view);
    json_t *row = json_checks_first(json, "tunnels");
    check_null(row, "peer");
    check_null(row, "peerId");
    check_null(row, "peerNotAfter");
    check_null(row, "openedAt");
    check_null(row, "cipher");
    check_null(row, "aead");
    json_decref(json);
    view_fini(&view);
}

static void test_long_lists_are_cut(void **state UNUSED) {
    struct view view = {0};
    for (size_t i = 0; i < RENDER_JSON_ROWS_MAX + 3; i++) {
        struct connection_view *row = view_add_connection(&view);
        row->state = "open";
        row->security = "none";
    }
    json_t *json = render(render_json_connections, &view);
    assert_int_equal(json_array_size(json_object_get(json, "connections")), RENDER_JSON_ROWS_MAX);
    json_checks_number(json, "total", RENDER_JSON_ROWS_MAX + 3);
    assert_true(json_is_true(json_object_get(json, "truncated")));
    json_decref(json);
    view_fini(&view);
}

// What a peer may call itself never breaks the document.
static void test_hostile_text(void **state UNUSED) {
    struct view view = {0};
    struct refusal_view *row = view_add_refusal(&view);
    row->reason = CLOSE_PEER_IDENTITY;
    (void)snprintf(row->peer_id, sizeof(row->peer_id), "%s", "\xff\xc0\xaf\"},{\"a\":\"\x1b[2J\n");
    memset(row->detail, 0xe2, sizeof(row->detail) - 1);
    json_t *json = render(render_json_refusals, &view);
    json_checks_text(
        json_checks_first(json, "refusals"), "peerId",
        "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"},{\"a\":\"\xef\xbf\xbd[2J\xef\xbf\xbd");
    json_decref(json);
    view_fini(&view);
}

static json_t *render_identity(const struct identity_view *view) {
    struct buf out = {0};
    assert_true(render_json_identity(&out, view));
    return json_checks_parse(&out);
}

static void test_identity(void **state UNUSED) {
    struct fake_backend fake;
    fake_backend_init(&fake);
    (void)snprintf(fake.identity.source.last_error, sizeof(fake.identity.source.last_error), "%s",
                   "no socket there");
    fake.identity.source.next_renewal_ms = clock_wall_ms();
    fake.identity.kept_until = clock_wall_s();
    fake.identity.counts.refused_by[IDENTITY_REFUSAL_BAD_BUNDLE] = 2;
    json_t *json = render_identity(&fake.identity);
    json_checks_text(json, "state", "valid");
    json_checks_number(json, "rotations", 3);
    json_checks_number(json, "generation", 4);
    json_t *svid = json_checks_first(json, "svids");
    json_checks_text(svid, "spiffeId", FAKE_BACKEND_ID);
    json_checks_text(svid, "serial", svid_serial(identity_svid(fake.identity.identity)));
    json_checks_text(svid, "hint", "");
    check_time(svid, "notBefore");
    check_time(svid, "notAfter");
    json_checks_text(json_checks_first(svid, "chain"), "serial",
                     svid_serial(identity_svid(fake.identity.identity)));
    check_time(json_checks_first(svid, "chain"), "notAfter");
    check_time(json, "keptUntil");
    json_t *by = json_object_get(json_object_get(json, "counts"), "refusedBy");
    json_checks_number(by, "bad_bundle", 2);
    json_checks_number(by, "other", 0);
    json_t *source = json_object_get(json, "source");
    check_time(source, "nextRenewal");
    json_checks_text(source, "kind", "workloadApi");
    json_checks_text(source, "state", "connected");
    json_checks_text(source, "lastError", "no socket there");
    json_checks_text(json_checks_first(json, "bundles"), "trustDomain", "example.org");
    json_decref(json);

    identity_unref(take(&fake.identity.identity));
    fake.identity.state = IDENTITY_WITHDRAWN;
    json = render_identity(&fake.identity);
    json_checks_text(json, "state", "withdrawn");
    assert_int_equal(json_array_size(json_object_get(json, "svids")), 0);
    json_decref(json);
    fake.identity.source.next_renewal_ms = 0;
    json = render_identity(&fake.identity);
    assert_true(json_is_null(json_object_get(json_object_get(json, "source"), "nextRenewal")));
    json_decref(json);
    fake_backend_fini(&fake);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_empty_and_sparse),
        cmocka_unit_test(test_long_lists_are_cut),
        cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
