// The JSON of /config, and the reference page.
#include "agent/config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"

#define PAGE_MAX ((size_t)1 << 20)

static char *render(const char *text) {
    struct config *config = config_parse("f", span_of_text(text), NULL, NULL);
    assert_non_null(config);
    struct buf out = {0};
    assert_true(config_render_json(config, &out));
    config_unref(config);
    return buf_take_text(&out);
}

// JSON is YAML, so what is rendered can be read again, and says the same.
static void test_json_reads_back(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "identity: {source: istioCa, rotateAt: 0.125, rotateJitter: 0.1, lifetime: 1h,\n"
        "  istioCa: {address: 'a:1', rootsFile: /r, tokenFile: /t}}\n"
        "status: {audit: {address: 'collector.example:514', reconnectMaxAttempts: 3}}\n",
        "status: {listen: ''}\nworkers: 3\ndrain: {deadline: 0s, withApplication: true}\n",
        "outbound:\n"
        "  listen: []\n"
        "  listeners: [{listen: '127.0.0.1:7000', destination: '[fd00::1]:6379'},\n"
        "    {listen: '127.0.0.1:7001', destination: 'a.b:6379'}]\n"
        "  mesh: {pinFor: 1500ms, peers: ['spiffe://a/**']}\n"
        "  destinations:\n"
        "    - {match: {networks: [], ports: [1, 2-3]}, tls: mutual, serverName: a.b}\n"
        "inbound:\n"
        "  mode: permissive\n"
        "  authorization: [{action: deny, ports: [5]}]\n"
        "  ports: [{port: 80, deliver: '127.0.0.1:81', tlsMode: tunnelOnly}, {port: 82}]\n"
        "intercept: {appUids: [1, 2], excludeInterfaces: [lo]}\n"
        "trustStore: {output: /x}\n"
        "log: {level: error, format: json}\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *once = render(texts[i]);
        char *twice = render(once);
        assert_string_equal(once, twice);
        free(once);
        free(twice);
    }
}

static const json_t *at(const json_t *root, const char *section, const char *key) {
    return json_object_get(json_object_get(root, section), key);
}

static void test_json_has_the_shape_of_the_yaml(void **state) {
    (void)state;
    char *text = render("inbound: {ports: [{port: 80, deliver: '127.0.0.1:81'}]}\n"
                        "intercept: {inbound: {includePorts: [1-2, 3]}}\n");
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    assert_non_null(root);
    assert_string_equal(json_string_value(at(root, "inbound", "mode")), "strict");
    assert_string_equal(json_string_value(at(root, "drain", "deadline")), "25s");
    assert_string_equal(json_string_value(json_object_get(root, "workers")), "auto");
    assert_string_equal(json_string_value(json_array_get(at(root, "outbound", "listen"), 1)),
                        "[::1]:15001");
    const json_t *port = json_array_get(at(root, "inbound", "ports"), 0);
    assert_int_equal(json_integer_value(json_object_get(port, "port")), 80);
    assert_null(json_object_get(port, "listen"));
    assert_null(json_object_get(port, "tlsMode")); // it follows inbound.mode
    assert_null(at(root, "inbound", "authorization"));
    assert_null(json_object_get(root, "trustStore"));
    const json_t *ports = json_object_get(at(root, "intercept", "inbound"), "includePorts");
    assert_string_equal(json_string_value(json_array_get(ports, 0)), "1-2");
    assert_int_equal(json_integer_value(json_array_get(ports, 1)), 3);
    json_decref(root);
}

static void test_the_page_is_the_table(void **state) {
    (void)state;
    struct buf page = {0};
    struct buf file = {0};
    struct err err;
    assert_true(config_render_reference(&page));
    if (!file_read("docs/configuration.md", PAGE_MAX, &file, &err)) {
        fail_msg("%s", err.msg);
    }
    if (!span_equal(buf_span(&page), buf_span(&file))) {
        // bazel keeps what is written here in test.outputs/outputs.zip beside the log.
        const char *outputs = getenv("TEST_UNDECLARED_OUTPUTS_DIR");
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/configuration.md", outputs == NULL ? "." : outputs);
        assert_true(file_write_atomic(path, buf_span(&page), 0644, &err));
        fail_msg("docs/configuration.md is not what the table of options says: %s", path);
    }
    buf_fini(&page);
    buf_fini(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_reads_back),
        cmocka_unit_test(test_json_has_the_shape_of_the_yaml),
        cmocka_unit_test(test_the_page_is_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
