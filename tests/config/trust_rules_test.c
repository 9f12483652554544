// The trust store's keys: what each may be, and what they mean together.
#include "agent/config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

struct row {
    const char *text; // what is in trustStore, in one line
    const char *errors;
};

static const struct row rows[] = {
    {"certificates: [{file: /a}]", "f:1:30: \"name\" is missing here\n"},
    {"certificates: [{name: a}]",
     "f:1:30: a has none of file, pem and url; it needs exactly one\n"},
    {"certificates: [{name: a, file: /a, url: 'https://x/'}]",
     "f:1:30: a has several of file, pem and url; it needs exactly one\n"},
    {"certificates: [{name: a/b, file: /a}]",
     "f:1:37: name: \"a/b\": it is not a name (1-128 of A-Z a-z 0-9 . _ -, not beginning with a "
     "dot)\n"},
    {"certificates: [{name: .a, file: /a}]",
     "f:1:37: name: \".a\": it is not a name (1-128 of A-Z a-z 0-9 . _ -, not beginning with a "
     "dot)\n"},
    {"certificates: [{name: a, file: /a}, {name: A, file: /b}]",
     "f:1:52: name: there is a certificate a in line 1 already\n"},
    {"certificates: [{name: a, file: a}]", "f:1:46: file: \"a\": it is not an absolute path\n"},
    {"certificates: [{name: a, url: 'http://x/'}]",
     "f:1:45: url: \"http://x/\": plain http:// is for a loopback address only: whoever is on the "
     "way could choose whom the application trusts; use https://\n"},
    {"certificates: [{name: a, file: /a, syncInterval: 1h}]",
     "f:1:50: syncInterval: only a url with autoSync: true is fetched again\n"},
    {"certificates: [{name: a, url: 'https://x/', syncInterval: 1h}]",
     "f:1:59: syncInterval: only a url with autoSync: true is fetched again\n"},
    {"certificates: [{name: a, pem: '-----BEGIN ', autoSync: true}]",
     "f:1:60: autoSync: what stands in the configuration cannot change by itself\n"},
    {"certificates: [{name: a, pem: x}]",
     "f:1:45: pem: \"x\": it is not PEM; write it behind `pem: |`, indented\n"},
    {"output: '/a b'",
     "f:1:23: output: \"/a b\": it has a character that shells and variables would take for "
     "something else\n"},
    {"output: '/a:b'",
     "f:1:23: output: \"/a:b\": it has a character that shells and variables would take for "
     "something else\n"},
    {"output: /out, sources: [/outer, /out/certs]",
     "f:1:47: sources: it is in trustStore.output, so what is written would be read again\n"},
    {"output: /out/, publicRoots: /out/ca-bundle.pem",
     "f:1:43: publicRoots: it is in trustStore.output, so what is written would be read again\n"},
    {"certificates: [{name: a, file: /run/pavise/trust/x}]",
     "f:1:46: file: it is in trustStore.output, so what is written would be read again\n"},
    {"publicRoots: mine",
     "f:1:28: publicRoots: \"mine\": it is neither system nor none nor an absolute path\n"},
    {"policy: {weak: no}", "f:1:30: weak: \"no\" is not one of warn, refuse\n"},
    {"java: {password: short}",
     "f:1:32: password: \"short\": it must have 6 to 64 printable ASCII characters\n"},
    {"java: {format: pem}", "f:1:30: format: \"pem\" is not one of pkcs12, jks\n"},
};

static void mistakes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[256];
        struct buf errors = {0};
        (void)snprintf(text, sizeof(text), "trustStore: { %s}\n", rows[i].text);
        assert_null(config_parse("f", span_of_text(text), &errors, NULL));
        char *said = buf_take_text(&errors);
        assert_non_null(said);
        assert_string_equal(said, rows[i].errors);
        free(said);
    }
}

static struct config *parse(const char *text, struct buf *warnings) {
    struct buf errors = {0};
    struct config *config = config_parse("f", span_of_text(text), &errors, warnings);
    if (config == NULL) {
        fail_msg("%.*s", (int)errors.len, (const char *)buf_span(&errors).ptr);
    }
    return config;
}

static void everything_at_once(void **state) {
    (void)state;
    OWNED(config_unref)
    struct config *config = parse("trustStore:\n"
                                  "  sources: [/a]\n"
                                  "  policy: {expired: refuse}\n"
                                  "  java: {format: jks, password: secret}\n"
                                  "  certificates:\n"
                                  "    - name: one\n"
                                  "      pem: |\n"
                                  "        -----BEGIN CERTIFICATE-----\n"
                                  "        MIIB\n"
                                  "      loadTrustStore: false\n"
                                  "    - {name: two, url: 'https://x/', autoSync: true,\n"
                                  "       syncInterval: 1h}\n",
                                  NULL);
    const struct config_trust_store *store = &config->trust_store;
    assert_true(store->is_set);
    assert_string_equal(store->output, "/run/pavise/trust");
    assert_string_equal(store->public_roots, "system");
    assert_true(store->policy.refuse_expired);
    assert_false(store->policy.refuse_weak);
    assert_int_equal(store->java_format, JAVA_JKS);
    assert_int_equal(store->num_certificates, 2);
    assert_string_equal(store->certificates[0].pem, "-----BEGIN CERTIFICATE-----\nMIIB\n");
    assert_false(store->certificates[0].load_trust_store);
    assert_true(store->certificates[1].load_trust_store);
    assert_true(store->certificates[1].auto_sync);
    assert_int_equal(store->certificates[1].sync_interval_ms, 3600 * 1000);
    // What /config shows can be read again, lines in texts included.
    struct buf json = {0}, again = {0};
    assert_true(config_render_json(config, &json));
    assert_true(buf_append(&json, "", 1));
    OWNED(config_unref)
    struct config *same = parse((const char *)buf_span(&json).ptr, NULL);
    assert_true(config_render_json(same, &again) && buf_append(&again, "", 1));
    assert_true(span_equal(buf_span(&json), buf_span(&again)));
    buf_fini(&json);
    buf_fini(&again);
}

static void several_lines_are_for_pem_only(void **state) {
    (void)state;
    static const char *const texts[] = {
        "trustStore:\n  output: |\n    /a\n    /b\n",
        "trustStore: {sources: [\"/a\\n/b\"]}\n",
        "identity: {hint: \"a\\nb\"}\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct buf errors = {0};
        assert_null(config_parse("f", span_of_text(texts[i]), &errors, NULL));
        char *said = buf_take_text(&errors);
        assert_non_null(strstr(said, "this text holds a line break or another control character"));
        free(said);
    }
}

static void no_public_roots_is_worth_a_warning(void **state) {
    (void)state;
    struct buf warnings = {0};
    OWNED(config_unref)
    struct config *config = parse("trustStore: {publicRoots: none}\n", &warnings);
    assert_string_equal(config->trust_store.public_roots, "none");
    char *said = buf_take_text(&warnings);
    assert_string_equal(said, "f:1:27: warning: publicRoots: the application will trust no public "
                              "server\n");
    free(said);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes),
        cmocka_unit_test(everything_at_once),
        cmocka_unit_test(several_lines_are_for_pem_only),
        cmocka_unit_test(no_public_roots_is_worth_a_warning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
