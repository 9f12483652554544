// The variables, in each form; a real shell reads env.sh.
#include "certmgr/trust/trust_env.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/span.h"

static const struct trust_env env = {.output = "/out"};

static size_t index_of(const char *name) {
    for (size_t i = 0; i < trust_env_num(); i++) {
        if (strcmp(trust_env_name(i), name) == 0) {
            return i;
        }
    }
    fail_msg("there is no variable %s", name);
    return 0;
}

static void expect_variable(const struct trust_env *of, const char *name, const char *value) {
    char out[TRUST_ENV_VALUE_MAX];
    trust_env_value(of, index_of(name), out);
    assert_string_equal(out, value);
}

static void values(void **state) {
    (void)state;
    const struct trust_env jks = {.output = "/out", .java_uses_jks = true};
    expect_variable(&env, "SSL_CERT_FILE", "/out/ca-bundle.pem");
    expect_variable(&env, "SSL_CERT_DIR", "/out/certs");
    expect_variable(&env, "NODE_EXTRA_CA_CERTS", "/out/ca-extra.pem");
    expect_variable(&env, "PHP_INI_SCAN_DIR", ":/out/php");
    expect_variable(&env, "JAVA_TOOL_OPTIONS", "-Djavax.net.ssl.trustStore=/out/truststore.p12");
    expect_variable(&jks, "JAVA_TOOL_OPTIONS", "-Djavax.net.ssl.trustStore=/out/truststore.jks");
}

static void expect_merged(const char *name, const char *before, const char *wanted) {
    char *merged = NULL;
    assert_true(trust_env_merge(&env, index_of(name), before, &merged));
    if (wanted == NULL) {
        assert_null(merged);
    } else {
        assert_non_null(merged);
        assert_string_equal(merged, wanted);
    }
    free(merged);
}

static void what_is_set_already(void **state) {
    (void)state;
    expect_merged("SSL_CERT_FILE", "/mine", NULL);
    expect_merged("SSL_CERT_FILE", "", NULL);
    expect_merged("JAVA_TOOL_OPTIONS", "", "-Djavax.net.ssl.trustStore=/out/truststore.p12");
    expect_merged("JAVA_TOOL_OPTIONS", "-Xmx1g",
                  "-Xmx1g -Djavax.net.ssl.trustStore=/out/truststore.p12");
    expect_merged("JAVA_TOOL_OPTIONS", "-Djavax.net.ssl.trustStore=/mine -Xmx1g", NULL);
}

static void lines(void **state) {
    (void)state;
    struct buf out = {0};
    assert_true(trust_env_render_lines(&env, &out));
    assert_true(buf_append(&out, "", 1));
    const char *text = (const char *)buf_span(&out).ptr;
    assert_int_equal(strncmp(text, "SSL_CERT_FILE=/out/ca-bundle.pem\n", 33), 0);
    size_t num = 0;
    for (const char *c = text; *c != '\0'; c++) {
        num += *c == '\n';
        assert_null(strchr("\"'$ ", *c)); // plain: nothing for a shell to expand
    }
    assert_int_equal(num, trust_env_num());
    buf_fini(&out);
}

// Runs `before`, env.sh and `after` in sh and compares what is printed.
static void expect_shell(const char *before, const char *after, const char *wanted) {
    char path[] = "/tmp/pavise-env-XXXXXX";
    struct buf script = {0};
    char output[1024] = "";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    assert_true(buf_printf(&script, "set -eu\n%s\n", before) &&
                trust_env_render_shell(&env, &script) && buf_printf(&script, "\n%s\n", after));
    assert_int_equal(fwrite(buf_span(&script).ptr, 1, script.len, file), script.len);
    assert_int_equal(fclose(file), 0);
    char command[64];
    (void)snprintf(command, sizeof(command), "env -i sh %s", path);
    FILE *shell = popen(command, "r");
    assert_non_null(shell);
    output[fread(output, 1, sizeof(output) - 1, shell)] = '\0';
    assert_int_equal(pclose(shell), 0);
    assert_string_equal(output, wanted);
    remove(path);
    buf_fini(&script);
}

static void a_shell(void **state) {
    (void)state;
    expect_shell("", "env | grep ^SSL_CERT_FILE", "SSL_CERT_FILE=/out/ca-bundle.pem\n");
    expect_shell("SSL_CERT_FILE=/mine", "echo $SSL_CERT_FILE $SSL_CERT_DIR", "/mine /out/certs\n");
    expect_shell("SSL_CERT_FILE=", "echo \"<$SSL_CERT_FILE>\"", "<>\n");
    expect_shell("", "env | grep JAVA",
                 "JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore=/out/truststore.p12\n");
    expect_shell("JAVA_TOOL_OPTIONS='-Xmx1g -Da=b'", "echo \"$JAVA_TOOL_OPTIONS\"",
                 "-Xmx1g -Da=b -Djavax.net.ssl.trustStore=/out/truststore.p12\n");
    expect_shell("JAVA_TOOL_OPTIONS='-Djavax.net.ssl.trustStore=/mine'",
                 "echo \"$JAVA_TOOL_OPTIONS\"", "-Djavax.net.ssl.trustStore=/mine\n");
}

static void php(void **state) {
    (void)state;
    struct buf out = {0};
    assert_true(trust_env_render_php(&env, &out) && buf_append(&out, "", 1));
    const char *text = (const char *)buf_span(&out).ptr;
    assert_non_null(strstr(text, "\nopenssl.cafile = \"/out/ca-bundle.pem\"\n"));
    assert_non_null(strstr(text, "\ncurl.cainfo = \"/out/ca-bundle.pem\"\n"));
    buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values), cmocka_unit_test(what_is_set_already),
        cmocka_unit_test(lines),  cmocka_unit_test(a_shell),
        cmocka_unit_test(php),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
