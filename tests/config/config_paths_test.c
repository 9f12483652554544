#include "agent/config/config_paths.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"

static bool append(void *arg, const struct config_path *path) {
    return buf_printf(arg, "%s %s%s\n", path->key, path->path, path->is_written ? " written" : "");
}

static char *paths_of(const char *text) {
    struct buf errors = {0}, out = {0};
    struct config *config = config_parse("test", span_of_text(text), &errors, NULL);
    if (config == NULL) {
        fail_msg("%.*s", (int)errors.len, (const char *)buf_span(&errors).ptr);
    }
    assert_true(config_paths_each(config, append, &out));
    config_unref(config);
    buf_fini(&errors);
    return buf_take_text(&out);
}

static void test_none(void **state) {
    (void)state;
    char *text = paths_of("");
    assert_string_equal(text, "");
    free(text);
}

static void test_all_kinds(void **state) {
    (void)state;
    char *text = paths_of("identity: {source: files, stateDirectory: /var/lib/p/state,\n"
                          "  files: {certificate: /c/crt, key: /k/key, bundle: /b/roots}}\n"
                          "trustStore:\n"
                          "  sources: [/s/one, /s/two]\n"
                          "  publicRoots: /r/roots.pem\n"
                          "  output: /o/trust\n"
                          "  certificates:\n"
                          "    - {name: a, file: /f/a.pem}\n"
                          "    - {name: b, url: 'file:///u/b.pem'}\n"
                          "    - {name: c, url: 'https://example.org/c.pem'}\n");
    assert_string_equal(text, "identity.stateDirectory /var/lib/p/state written\n"
                              "identity.files.certificate /c/crt\n"
                              "identity.files.key /k/key\n"
                              "identity.files.bundle /b/roots\n"
                              "trustStore.sources[0] /s/one\n"
                              "trustStore.sources[1] /s/two\n"
                              "trustStore.certificates[0].file /f/a.pem\n"
                              "trustStore.certificates[1].url /u/b.pem\n"
                              "trustStore.publicRoots /r/roots.pem\n"
                              "trustStore.output /o/trust written\n");
    free(text);
}

static void test_ports(void **state) {
    (void)state;
    char *text = paths_of(
        "inbound:\n"
        "  ports:\n"
        "    - {port: 1}\n"
        "    - port: 443\n"
        "      deliver: '127.0.0.1:80'\n"
        "      tlsMode: required\n"
        "      clientCerts: [{file: /l/clients.pem}]\n"
        "      certificates:\n"
        "        - {name: x, certFile: /e/crt, keyFile: /e/key, keyPassphrase: 'file:/e/pass'}\n"
        "        - {name: y, certFile: /y/crt, keyFile: /y/key, keyPassphrase: 'env:SECRET'}\n");
    assert_string_equal(text, "inbound.ports[1].clientCerts[0].file /l/clients.pem\n"
                              "inbound.ports[1].certificates[0].certFile /e/crt\n"
                              "inbound.ports[1].certificates[0].keyFile /e/key\n"
                              "inbound.ports[1].certificates[0].keyPassphrase /e/pass\n"
                              "inbound.ports[1].certificates[1].certFile /y/crt\n"
                              "inbound.ports[1].certificates[1].keyFile /y/key\n");
    free(text);
}

static bool stop(void *arg, const struct config_path *path) {
    (void)path;
    ++*(int *)arg;
    return false;
}

static void test_stops(void **state) {
    (void)state;
    int calls = 0;
    struct config *config =
        config_parse("test", span_of_text("trustStore: {sources: [/s/one, /s/two]}"), NULL, NULL);
    assert_non_null(config);
    assert_false(config_paths_each(config, stop, &calls));
    assert_int_equal(calls, 1);
    config_unref(config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_all_kinds),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
