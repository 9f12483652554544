#include "agent/status/render_ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>

#include "tests/status/json_checks.h"

static json_t *render(const char *text) {
    struct buf errors = {0}, out = {0};
    struct config *config = config_parse("f", span_of_text(text), &errors, NULL);
    if (config == NULL) {
        fail_msg("%.*s", (int)errors.len, (const char *)buf_span(&errors).ptr);
    }
    assert_true(render_ports_json(&out, config));
    json_t *json = json_checks_parse(&out);
    buf_fini(&errors);
    config_unref(config);
    return json;
}

static void test_what_is_in_force(void **state) {
    (void)state;
    json_t *json =
        render("inbound:\n"
               "  mode: strict\n"
               "  ports:\n"
               "    - {port: 80}\n"
               "    - {port: 8443, tlsMode: required, clientAuth: none, resumption: true,\n"
               "       appTls: {mode: reencrypt}, certificates: [\n"
               "         {name: www, certFile: /c, keyFile: /k},\n"
               "         {name: old, certFile: /c, keyFile: /k, enabled: false}]}\n"
               "    - {port: 8444, tlsMode: required, protocol: http}\n");
    const json_t *ports = json_object_get(json, "ports");
    assert_int_equal(json_array_size(ports), 3);
    const json_t *row = json_array_get(ports, 0);
    json_checks_text(row, "mode", "strict");
    assert_true(json_is_false(json_object_get(row, "terminatesTls")));
    assert_true(json_is_null(json_object_get(row, "clientAuth")));
    assert_true(json_is_false(json_object_get(row, "enableEndToEndTls")));
    row = json_array_get(ports, 1);
    json_checks_text(row, "mode", "required");
    json_checks_text(row, "clientAuth", "none");
    json_checks_text(row, "appTls", "reencrypt");
    assert_true(json_is_true(json_object_get(row, "enableEndToEndTls")));
    assert_true(json_is_true(json_object_get(row, "resumption")));
    const json_t *certificates = json_object_get(row, "certificates");
    assert_int_equal(json_array_size(certificates), 1); // what is not enabled is not in force
    assert_string_equal(json_string_value(json_array_get(certificates, 0)), "www");
    row = json_array_get(ports, 2);
    json_checks_text(row, "clientAuth", "required");
    json_checks_text(row, "protocol", "http");
    json_decref(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_is_in_force)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
