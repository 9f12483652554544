// Each kind of source is started from its configuration, and only a difference starts another one.
#include "agent/control/identity_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "certmgr/update.h"

static struct config *parse(const char *text) {
    struct buf errors = {0};
    struct config *config = config_parse("f", span_of_text(text), &errors, NULL);
    if (config == NULL) {
        struct span bytes = buf_span(&errors);
        fail_msg("%.*s", (int)bytes.len, (const char *)bytes.ptr);
    }
    return config;
}

static void wake(void *arg) {
    (void)arg;
}

#define FILES "identity: {source: files, files: {certificate: /a, key: /b, bundle: /c}}"
#define CA                                                                                         \
    "identity: {source: istioCa, istioCa: {address: '127.0.0.1:1', rootsFile: /r, tokenFile: /t"

static void each_kind_is_started(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *kind;
        const char *place;
    } rows[] = {
        {"identity: {endpoint: 'unix:///nowhere/a'}", "workloadApi", "unix:///nowhere/a"},
        {"identity: {source: sds, endpoint: 'unix:///nowhere/a'}", "sds", "unix:///nowhere/a"},
        {CA "}}", "istioCa", "127.0.0.1:1"},
        {FILES, "files", "/a"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct source_sink sink = {.wake = wake};
        struct err err = {0};
        OWNED(config_unref) struct config *config = parse(rows[i].text);
        assert_string_equal(identity_source_place(&config->identity), rows[i].place);
        struct source *source = identity_source_start(&config->identity, &sink, &err);
        if (source == NULL) {
            fail_msg("%s", err.msg);
        }
        assert_string_equal(source->ops->kind, rows[i].kind);
        assert_string_equal(source->ops->kind, identity_source_name(config->identity.source));
        source_free(source);
        update_free(mailbox_take(&sink.updates));
        free(mailbox_take(&sink.reports));
    }
}

static void the_environment_says_where(void **state) {
    (void)state;
    struct source_sink sink = {.wake = wake};
    struct err err = {0};
    OWNED(config_unref) struct config *config = parse("");
    unsetenv("SPIFFE_ENDPOINT_SOCKET");
    assert_null(identity_source_start(&config->identity, &sink, &err));
    assert_non_null(strstr(err.msg, "identity.endpoint"));
    setenv("SPIFFE_ENDPOINT_SOCKET", "unix:///nowhere/b", 1);
    assert_string_equal(identity_source_place(&config->identity), "unix:///nowhere/b");
    struct source *source = identity_source_start(&config->identity, &sink, &err);
    assert_non_null(source);
    source_free(source);
    free(mailbox_take(&sink.reports));
    unsetenv("SPIFFE_ENDPOINT_SOCKET");
}

static void any_difference_is_one(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "identity: {endpoint: 'unix:///a'}",
        "identity: {endpoint: 'unix:///b'}",
        "identity: {hint: a}",
        "identity: {spiffeId: 'spiffe://a/b'}",
        "identity: {source: sds}",
        "identity: {source: sds, sds: {certificate: a}}",
        "identity: {source: sds, sds: {bundle: a}}",
        CA "}}",
        CA ", serverName: a}}",
        CA ", clusterId: a}}",
        CA "}, lifetime: 1h}",
        CA "}, lifetime: 2h}",
        CA "}, rotateAt: 0.6}",
        CA "}, rotateJitter: 0}",
        "identity: {source: istioCa, istioCa: {address: 'b:1', rootsFile: /r, tokenFile: /t}}",
        "identity: {source: istioCa, istioCa: {address: 'b:1', rootsFile: /x, tokenFile: /t}}",
        "identity: {source: istioCa, istioCa: {address: 'b:1', rootsFile: /r, tokenFile: /x}}",
        FILES,
        "identity: {source: files, files: {certificate: /x, key: /b, bundle: /c}}",
        "identity: {source: files, files: {certificate: /a, key: /x, bundle: /c}}",
        "identity: {source: files, files: {certificate: /a, key: /b, bundle: /x}}",
        "identity: {source: files, stateDirectory: /s, files: {certificate: /a, key: /b}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (size_t j = 0; j < sizeof texts / sizeof *texts; j++) {
            OWNED(config_unref) struct config *a = parse(texts[i]);
            OWNED(config_unref) struct config *b = parse(texts[j]);
            if (identity_source_is_same(&a->identity, &b->identity) != (i == j)) {
                fail_msg("%s\n%s", texts[i], texts[j]);
            }
        }
    }
    // What a source does not depend on.
    OWNED(config_unref) struct config *a = parse("identity: {closeAtExpiry: true}");
    OWNED(config_unref) struct config *b = parse("identity: {stateDirectory: /s}\nworkers: 2\n");
    assert_true(identity_source_is_same(&a->identity, &b->identity));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_is_started),
        cmocka_unit_test(the_environment_says_where),
        cmocka_unit_test(any_difference_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
