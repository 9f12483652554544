// The command line: defaults, ranges, and a sentence for each mistake.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "authority/authority_options.h"
#include "base/err.h"

#define ARGS_MAX 16

static bool parse(const char *line, struct authority_options *out, struct err *err) {
    static char text[512]; // the options point into it
    char *argv[ARGS_MAX] = {(char *)"authority"};
    int argc = 1;
    assert_true(strlen(line) < sizeof(text));
    strcpy(text, line);
    for (char *rest = text, *word; (word = strtok_r(rest, " ", &rest)) != NULL;) {
        assert_true(argc < ARGS_MAX);
        argv[argc++] = word;
    }
    return authority_options_parse(argc, argv, out, err);
}

static void test_defaults(void **state) {
    (void)state;
    struct err err = {0};
    struct authority_options options;
    assert_true(parse("--socket /s --trust-domain example.org", &options, &err));
    assert_string_equal(options.socket_path, "/s");
    assert_string_equal(options.trust_domain, "example.org");
    assert_null(options.entries_path);
    assert_null(options.state_dir);
    assert_int_equal(options.ttl_ms, 3600 * 1000);
    assert_int_equal(options.rotate_ms, 1800 * 1000);
    assert_false(options.help);
}

static void test_everything(void **state) {
    (void)state;
    struct err err = {0};
    struct authority_options options;
    assert_true(parse("--socket=/s --trust-domain=a_b.c-1 --ttl=2s --rotate-every=500ms "
                      "--entries e --state d",
                      &options, &err));
    assert_string_equal(options.trust_domain, "a_b.c-1");
    assert_string_equal(options.entries_path, "e");
    assert_string_equal(options.state_dir, "d");
    assert_int_equal(options.ttl_ms, 2000);
    assert_int_equal(options.rotate_ms, 500);
    assert_false(options.listens);
}

static void test_listen(void **state) {
    (void)state;
    struct err err = {0};
    struct authority_options options;
    assert_true(parse("--socket=/s --trust-domain=a --state d --tokens t --listen [::1]:15012",
                      &options, &err));
    assert_true(options.listens);
    assert_int_equal(options.listen.port, 15012);
    assert_string_equal(options.tokens_path, "t");
}

static const struct mistake {
    const char *line;
    const char *says;
} mistakes[] = {
    {"", "--socket"},
    {"--socket /s", "--trust-domain"},
    {"--trust-domain a", "--socket"},
    {"--socket /s --trust-domain A.b", "--trust-domain"},
    {"--socket /s --trust-domain a/b", "--trust-domain"},
    {"--socket /s --trust-domain a --ttl 1s", "--ttl"},
    {"--socket /s --trust-domain a --ttl 31d", "--ttl"},
    {"--socket /s --trust-domain a --ttl 1", "duration"},
    {"--socket /s --trust-domain a --ttl -5s", "duration"},
    {"--socket /s --trust-domain a --rotate-every 499ms", "500ms"},
    {"--socket /s --trust-domain a --ttl 2s --rotate-every 2s", "shorter"},
    {"--socket /s --trust-domain a --rotate-every 2h", "shorter"},
    {"--socket /s --trust-domain a --listen 127.0.0.1:1", "together"},
    {"--socket /s --trust-domain a --tokens f", "together"},
    {"--socket /s --trust-domain a --tokens f --listen 127.0.0.1:1", "--state"},
    {"--socket /s --trust-domain a --state d --tokens f --listen localhost:1", "127.0.0.1:15012"},
    {"--socket /s --trust-domain a --state d --tokens f --listen 127.0.0.1", "127.0.0.1:15012"},
    {"--socket /s --trust-domain a --state d --tokens f --listen 127.0.0.1:0", "127.0.0.1:15012"},
    {"--socket /s --trust-domain a --verbose", "--verbose"},
    {"--trust-domain a --socket", "--socket"},
    {"--socket /s --trust-domain a extra", "extra"},
};

static void test_mistakes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        struct err err = {0};
        struct authority_options options;
        bool parsed = parse(mistakes[i].line, &options, &err);
        if (parsed || err.class != ERR_USAGE || strstr(err.msg, mistakes[i].says) == NULL) {
            fail_msg("\"%s\" gave \"%s\"", mistakes[i].line, err.msg);
        }
    }
}

static void test_help_needs_nothing(void **state) {
    (void)state;
    struct err err = {0};
    struct authority_options options;
    assert_true(parse("--help", &options, &err));
    assert_true(options.help);
    assert_non_null(strstr(authority_options_help(), "--trust-domain"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_listen),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_help_needs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
