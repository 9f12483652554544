#include "agent/status/render_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/clock.h"
#include "tests/status/fake_backend.h"
#include "tests/trust/trust_fixture.h"

typedef bool render_fn(struct buf *out, const struct view *view);

static json_t *parse(struct buf *out) {
    json_error_t error;
    json_t *json =
        json_loadb((const char *)buf_span(out).ptr, out->len, JSON_REJECT_DUPLICATES, &error);
    buf_fini(out);
    assert_non_null(json);
    return json;
}

static json_t *render(render_fn *fn, const struct view *view) {
    struct buf out = {0};
    assert_true(fn(&out, view));
    return parse(&out);
}

static json_t *first(json_t *document, const char *key) {
    json_t *rows = json_object_get(document, key);
    assert_true(json_array_size(rows) >= 1);
    return json_array_get(rows, 0);
}

static void check_text(json_t *row, const char *key, const char *expected) {
    assert_string_equal(json_string_value(json_object_get(row, key)), expected);
}

static void check_number(json_t *row, const char *key, json_int_t expected) {
    assert_true(json_is_integer(json_object_get(row, key)));
    assert_int_equal(json_integer_value(json_object_get(row, key)), expected);
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
    json_t *row = first(json, "connections");
    check_number(row, "id", 7);
    check_text(row, "direction", "outbound");
    check_text(row, "source", "10.0.0.2:40000");
    check_text(row, "via", "10.0.0.1:15008");
    check_text(row, "peerId", "spiffe://example.org/ns/default/sa/redis");
    check_number(row, "bytesReceived", 70000000);
    check_number(row, "tunnelId", 3);
    check_null(row, "rule");
    check_time(row, "openedAt");
    check_time(row, "peerNotAfter");
    check_number(json, "total", 1);
    check_number(json, "workersMissing", 1);
    assert_true(json_is_false(json_object_get(json, "truncated")));
    json_decref(json);

    json = render(render_json_tunnels, &fake.view);
    row = first(json, "tunnels");
    check_text(row, "tlsVersion", "TLSv1.3");
    check_number(row, "identityGeneration", 4);
    check_text(row, "ownSerial", "ff01");
    json_decref(json);

    json = render(render_json_listeners, &fake.view);
    row = first(json, "listeners");
    check_text(row, "address", "127.0.0.1:7000");
    assert_true(json_is_true(json_object_get(row, "accepting")));
    json_decref(json);

    json = render(render_json_destinations, &fake.view);
    row = first(json, "destinations");
    check_text(row, "address", "10.0.0.1");
    check_text(row, "state", "pinned");
    check_null(row, "lastError");
    json_decref(json);

    json = render(render_json_refusals, &fake.view);
    row = first(json, "refusals");
    check_time(row, "at");
    check_text(row, "direction", "inbound");
    check_text(row, "reason", "unauthorized");
    check_text(row, "sentence", "inbound.authorization refused the peer");
    check_text(row, "destination", "10.0.0.2:8080");
    check_text(row, "detail", "port 8080 is for spiffe://example.org/ns/*/sa/front only");
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
    json_t *row = first(json, "tunnels");
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
    check_number(json, "total", RENDER_JSON_ROWS_MAX + 3);
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
    check_text(first(json, "refusals"), "peerId",
               "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"},{\"a\":\"\xef\xbf\xbd[2J\xef\xbf\xbd");
    json_decref(json);
    view_fini(&view);
}

static json_t *render_identity(const struct identity_view *view) {
    struct buf out = {0};
    assert_true(render_json_identity(&out, view));
    return parse(&out);
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
    check_text(json, "state", "valid");
    check_number(json, "rotations", 3);
    check_number(json, "generation", 4);
    json_t *svid = first(json, "svids");
    check_text(svid, "spiffeId", FAKE_BACKEND_ID);
    check_text(svid, "serial", svid_serial(identity_svid(fake.identity.identity)));
    check_text(svid, "hint", "");
    check_time(svid, "notBefore");
    check_time(svid, "notAfter");
    check_text(first(svid, "chain"), "serial", svid_serial(identity_svid(fake.identity.identity)));
    check_time(first(svid, "chain"), "notAfter");
    check_time(json, "keptUntil");
    json_t *by = json_object_get(json_object_get(json, "counts"), "refusedBy");
    check_number(by, "bad_bundle", 2);
    check_number(by, "other", 0);
    json_t *source = json_object_get(json, "source");
    check_time(source, "nextRenewal");
    check_text(source, "kind", "workloadApi");
    check_text(source, "state", "connected");
    check_text(source, "lastError", "no socket there");
    check_text(first(json, "bundles"), "trustDomain", "example.org");
    json_decref(json);

    identity_unref(take(&fake.identity.identity));
    fake.identity.state = IDENTITY_WITHDRAWN;
    json = render_identity(&fake.identity);
    check_text(json, "state", "withdrawn");
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
