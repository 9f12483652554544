#include "agent/edge/edge_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_said(struct buf *buf, const char *text) {
    assert_true(span_equal_text(buf_span(buf), text));
    buf_clear(buf);
}

static void test_places(void **state) {
    (void)state;
    struct buf errors = {0};
    const struct edge_load load = {.name = "f.yaml", .errors = &errors};
    struct edge_place port = {.load = &load, .line = 3, .port = "port 443"};
    struct edge_place both = {
        .load = &load, .line = 4, .port = "port 443", .kind = "certificate", .name = "web"};
    struct edge_place none = {.load = &load, .line = 5, .kind = "destination", .name = "db"};
    struct err err = {0};
    (void)ERR_SET(&err, ERR_INPUT, "it is bad");
    edge_load_refuse(&port, "alpn", &err);
    assert_said(&errors, "f.yaml:3:1: port 443: alpn: it is bad\n");
    edge_load_refuse(&both, "", &err);
    assert_said(&errors, "f.yaml:4:1: port 443, certificate web: it is bad\n");
    edge_load_refuse(&none, "serverCerts", &err);
    assert_said(&errors, "f.yaml:5:1: destination db: serverCerts: it is bad\n");
    assert_true(port.is_refused && both.is_refused && none.is_refused);
    edge_load_warn(&none, "serverCerts", "there is nobody to hear it");
    assert_said(&errors, "");
    buf_fini(&errors);
}

static void test_expired_is_what_the_load_says(void **state) {
    (void)state;
    struct buf errors = {0};
    struct buf warnings = {0};
    struct edge_load load = {.name = "f", .errors = &errors, .warnings = &warnings};
    struct edge_place place = {.load = &load, .line = 1, .port = "port 1"};
    struct err err = {0};
    (void)ERR_SET(&err, ERR_INPUT, "it has expired");
    load.expiry = EDGE_EXPIRY_WARNS;
    edge_load_expired(&place, "certFile", &err);
    assert_false(place.is_refused);
    assert_said(&errors, "");
    assert_said(&warnings, "f:1:1: port 1: certFile: it has expired\n");
    load.expiry = EDGE_EXPIRY_REFUSES;
    edge_load_expired(&place, "certFile", &err);
    assert_true(place.is_refused);
    assert_said(&errors, "f:1:1: port 1: certFile: it has expired\n");
    assert_said(&warnings, "");
    buf_fini(&errors);
    buf_fini(&warnings);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_expired_is_what_the_load_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
