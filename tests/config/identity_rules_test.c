// The sources of identity: which keys each one has, and which of them it cannot do without.
#include "agent/config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

struct row {
    const char *text;
    const char *errors;
};

#define CA                                                                                         \
    "identity: {source: istioCa, istioCa: {address: 'a:1', rootsFile: /r, tokenFile: /t},\n  "

static const struct row rows[] = {
    {"identity: {source: files}\n",
     "f:1:11: \"files.certificate\" is missing here: source: files needs it\n"
     "f:1:11: \"files.key\" is missing here: source: files needs it\n"
     "f:1:11: \"files.bundle\" is missing here: source: files needs it\n"},
    {"identity:\n  source: files\n  files: {certificate: /a, bundle: /b}\n",
     "f:3:10: \"files.key\" is missing here: source: files needs it\n"},
    {"identity: {source: files, stateDirectory: /s, files: {key: /k}}\n",
     "f:1:54: \"files.certificate\" is missing here: source: files needs it\n"},
    {"identity: {source: istioCa, istioCa: {address: 'a:1', tokenFile: /t}}\n",
     "f:1:38: \"istioCa.rootsFile\" is missing here: source: istioCa needs it\n"},
    {"identity: {source: istioCa, istioCa: }\n",
     "f:1:11: \"istioCa.address\" is missing here: source: istioCa needs it\n"
     "f:1:11: \"istioCa.rootsFile\" is missing here: source: istioCa needs it\n"
     "f:1:11: \"istioCa.tokenFile\" is missing here: source: istioCa needs it\n"},
    {"identity: {sds: {}, lifetime: 1h, istioCa: {}, files: {}}\n",
     "f:1:12: sds: source: workloadApi does not use it; remove it or choose another source\n"
     "f:1:21: lifetime: source: workloadApi does not use it; remove it or choose another source\n"
     "f:1:35: istioCa: source: workloadApi does not use it; remove it or choose another source\n"
     "f:1:48: files: source: workloadApi does not use it; remove it or choose another source\n"},
    {"identity: {source: sds, hint: x}\n",
     "f:1:25: hint: source: sds does not use it; remove it or choose another source\n"},
    {"identity: {source: files, endpoint: 'unix:///a',\n"
     "  files: {certificate: /a, key: /b, bundle: /c}}\n",
     "f:1:27: endpoint: source: files does not use it; remove it or choose another source\n"},
    {"identity: {source: sds, sds: {certificate: ''}}\n",
     "f:1:44: certificate: must not be empty\n"},
    {"identity: {source: files, files: {certificate: a, key: /b, bundle: /c}}\n",
     "f:1:48: certificate: \"a\": it is not an absolute path\n"},
    {"identity: {source: istioCa,\n"
     "  istioCa: {address: ca, rootsFile: /r, tokenFile: /t}, lifetime: 1s}\n",
     "f:2:22: address: \"ca\": it has no port: HOST:PORT\n"
     "f:2:67: lifetime: \"1s\" is too short a duration, 1m is the least\n"},
    {"identity: {rotateAt: 0.5, rotateJitter: 0.1}\n",
     "f:1:12: rotateAt: source: workloadApi does not use it; remove it or choose another source\n"
     "f:1:27: rotateJitter: source: workloadApi does not use it; remove it or choose another "
     "source\n"},
    {CA "rotateAt: 50}\n",
     "f:2:13: rotateAt: \"50\" is not a fraction from 0.1 to 0.9, like 0.25\n"},
    {CA "rotateAt: 0.05}\n",
     "f:2:13: rotateAt: \"0.05\" is not a fraction from 0.1 to 0.9, like 0.25\n"},
    {CA "rotateAt: '0.5'}\n", "f:2:13: rotateAt: \"0.5\" is not a fraction from 0.1 to 0.9, like "
                              "0.25, without quotes\n"},
    {CA "rotateJitter: 0.1234}\n",
     "f:2:17: rotateJitter: \"0.1234\" is not a fraction from 0 to 0.5, like 0.25\n"},
    {CA "rotateJitter: -0.1}\n",
     "f:2:17: rotateJitter: \"-0.1\" is not a fraction from 0 to 0.5, like 0.25\n"},
    {CA "rotateJitter: 0.}\n",
     "f:2:17: rotateJitter: \"0.\" is not a fraction from 0 to 0.5, like 0.25\n"},
    {CA "rotateAt: 0.9}\n",
     "f:2:13: rotateAt: rotateAt and rotateJitter are 1 of the lifetime together; at most 0.95 "
     "leaves time to try again\n"},
    {"identity: {source: spire}\n",
     "f:1:20: source: \"spire\" is not one of workloadApi, sds, istioCa, files\n"},
    {"identity: {source: files, files: [a]}\n", "f:1:34: files has to be a mapping, not a list\n"},
};

static void test_mistakes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf errors = {0};
        struct config *config = config_parse("f", span_of_text(rows[i].text), &errors, NULL);
        char *text = buf_take_text(&errors);
        assert_non_null(text);
        if (config != NULL || strcmp(text, rows[i].errors) != 0) {
            fail_msg("\n%s\nsays\n%sand not\n%s", rows[i].text, text, rows[i].errors);
        }
        free(text);
    }
}

static struct config *parse(const char *text) {
    struct buf errors = {0};
    struct config *config = config_parse("f", span_of_text(text), &errors, NULL);
    if (config == NULL) {
        struct span bytes = buf_span(&errors);
        fail_msg("%.*s", (int)bytes.len, (const char *)bytes.ptr);
    }
    return config;
}

static void test_each_source_has_its_values(void **state) {
    (void)state;
    struct config *config = parse("identity: {source: files, stateDirectory: /s,\n"
                                  "  files: {certificate: /a, key: /b, bundle: /c}}\n");
    assert_int_equal(config->identity.source, IDENTITY_FILES);
    assert_string_equal(config->identity.files.certificate, "/a");
    assert_string_equal(config->identity.files.key, "/b");
    assert_string_equal(config->identity.files.bundle, "/c");
    assert_string_equal(config->identity.state_directory, "/s");
    config_unref(config);
    config =
        parse("identity: {source: files, stateDirectory: /s, files: {certificate: /a, key: /b}}");
    assert_null(config->identity.files.bundle);
    config_unref(config);
    config = parse("identity: {source: sds, endpoint: 'unix:///a'}\n");
    assert_int_equal(config->identity.source, IDENTITY_SDS);
    assert_string_equal(config->identity.sds.certificate, "default");
    assert_string_equal(config->identity.sds.bundle, "ROOTCA");
    config_unref(config);
    config = parse("identity: {source: istioCa, lifetime: 2h,\n"
                   "  istioCa: {address: 'a:1', rootsFile: /r, tokenFile: /t}}\n");
    assert_int_equal(config->identity.source, IDENTITY_ISTIO_CA);
    assert_string_equal(config->identity.istio_ca.address, "a:1");
    assert_string_equal(config->identity.istio_ca.roots_file, "/r");
    assert_string_equal(config->identity.istio_ca.token_file, "/t");
    assert_string_equal(config->identity.istio_ca.cluster_id, "Kubernetes");
    assert_null(config->identity.istio_ca.server_name);
    assert_true(config->identity.has_lifetime);
    assert_int_equal(config->identity.lifetime_ms, 2 * 3600 * 1000);
    assert_false(config->identity.has_rotate_at || config->identity.has_rotate_jitter);
    config_unref(config);
    config = parse(CA "rotateAt: 0.125, rotateJitter: 0}\n");
    assert_true(config->identity.has_rotate_at && config->identity.has_rotate_jitter);
    assert_int_equal(config->identity.rotate_at_permille, 125);
    assert_int_equal(config->identity.rotate_jitter_permille, 0);
    config_unref(config);
    config = parse(CA "rotateAt: 0.9, rotateJitter: 0.05}\n");
    assert_int_equal(config->identity.rotate_at_permille, 900);
    assert_int_equal(config->identity.rotate_jitter_permille, 50);
    config_unref(config);
}

static void test_names(void **state) {
    (void)state;
    assert_string_equal(identity_source_name(IDENTITY_WORKLOAD_API), "workloadApi");
    assert_string_equal(identity_source_name(IDENTITY_SDS), "sds");
    assert_string_equal(identity_source_name(IDENTITY_ISTIO_CA), "istioCa");
    assert_string_equal(identity_source_name(IDENTITY_FILES), "files");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_each_source_has_its_values),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
