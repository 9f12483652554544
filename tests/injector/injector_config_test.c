#include "agent/injector/injector_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_good(void **state) {
    (void)state;
    struct injector_config config;
    char text[NETADDR_TEXT_MAX];
    assert_true(injector_config_parse(
        &config,
        span_of_text("listen: 127.0.0.1:9443\ncertificate: /a\nkey: /b\nsettings:\n  mode: "
                     "permissive\n"),
        NULL));
    assert_string_equal(netaddr_format(&config.listen, text), "127.0.0.1:9443");
    assert_string_equal(config.certificate, "/a");
    assert_string_equal(config.key, "/b");
    assert_true(settings_is(&config.settings, SETTING_MODE, "permissive"));
    injector_config_fini(&config);
    assert_true(injector_config_parse(&config, span_of_text("{certificate: /a, key: /b}"), NULL));
    assert_string_equal(netaddr_format(&config.listen, text), "0.0.0.0:8443");
    injector_config_fini(&config);
}

static void test_mistakes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *sentence;
    } rows[] = {
        {"", "it is not a mapping"},
        {"[]", "it is not a mapping"},
        {"a: [", "1:"},
        {"certificate: /a\n", "certificate and key are needed"},
        {"certificate: a\nkey: /b\n", "certificate is an absolute path"},
        {"certificat: /a\n", "there is no key \"certificat\""},
        {"listen: nowhere\n", "listen: "},
        {"settings: [x]\n", "settings is a mapping"},
        {"settings: {mode: [x]}\n", "settings: mode must be text"},
        {"settings: {mode: lax}\n", "settings: pavise/mode wants strict or permissive"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct injector_config config;
        struct err err = {0};
        assert_false(injector_config_parse(&config, span_of_text(rows[i].text), &err));
        if (strstr(err.msg, rows[i].sentence) == NULL) {
            fail_msg("%s: %s", rows[i].text, err.msg);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good),
                                       cmocka_unit_test(test_mistakes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
