#include "agent/inject/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool accepts(const char *assignment) {
    struct settings settings;
    struct err err = {0};
    settings_init(&settings);
    bool ok = settings_set(&settings, assignment, &err);
    assert_int_equal(err.msg[0] == '\0', ok);
    return ok;
}

static void test_values(void **state) {
    (void)state;
    static const char *const good[] = {"image=registry.example:5000/a/b@sha256:0a",
                                       "mode=permissive",
                                       "interception=explicit",
                                       "skip-inbound-ports=",
                                       "skip-inbound-ports=1,2-3,65535",
                                       "identity=istioCa",
                                       "identity-address=ca.example:15012",
                                       "trust=a,b.c",
                                       "trust=",
                                       "rewrite-probes=disabled",
                                       "ip-family=ipv6",
                                       "config=a: b\nc: d\n",
                                       "cpu-request=0.5",
                                       "memory-limit=1Gi",
                                       "intercept-as=root",
                                       "identity-signer=a.example/b"};
    static const char *const bad[] = {"mode",
                                      "=x",
                                      "mode=",
                                      "mode=strict permissive",
                                      "mode=stric",
                                      "nothing=x",
                                      "image=",
                                      "image=a b",
                                      "image=a\"",
                                      "skip-inbound-ports=0",
                                      "skip-inbound-ports=65536",
                                      "skip-inbound-ports=2-1",
                                      "skip-inbound-ports=1,",
                                      "skip-inbound-ports=1;2",
                                      "skip-inbound-ports=99999999999999999999",
                                      "trust=,a",
                                      "trust=a,",
                                      "trust=a,,b",
                                      "trust=a/b",
                                      "ip-family=both",
                                      "identity-address=x",
                                      "cpu-request=x",
                                      "config=\t",
                                      "identity-roots="};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!accepts(good[i])) {
            fail_msg("%s is refused", good[i]);
        }
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (accepts(bad[i])) {
            fail_msg("%s is accepted", bad[i]);
        }
    }
    char long_name[700] = "trust=";
    memset(long_name + 6, 'a', 600);
    assert_false(accepts(long_name));
}

static void test_annotations(void **state) {
    (void)state;
    static const char TEXT[] = "other/x: [1]\n"
                               "pavise/inject: enabled\n"
                               "pavise/injected: \"1\"\n"
                               "pavise/mode: permissive\n";
    struct manifest manifest = {0};
    struct settings settings;
    assert_true(manifest_parse(&manifest, span_of_text(TEXT), NULL));
    settings_init(&settings);
    assert_true(settings_is(&settings, SETTING_MODE, "strict"));
    assert_false(settings_has(&settings, SETTING_TRUST));
    assert_true(settings_read(&settings, manifest.first, NULL));
    assert_true(settings_is(&settings, SETTING_MODE, "permissive"));
    assert_true(settings_read(&settings, NULL, NULL));
    manifest_fini(&manifest);

    struct err err = {0};
    assert_true(manifest_parse(&manifest, span_of_text("pavise/mode: [strict]\n"), NULL));
    assert_false(settings_read(&settings, manifest.first, &err));
    assert_string_equal(err.msg, "pavise/mode must be text");
    manifest_fini(&manifest);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_annotations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
