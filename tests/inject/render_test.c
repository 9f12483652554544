#include "agent/inject/render.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect(struct buf *got, const char *wanted) {
    char *text = buf_take_text(got);
    assert_non_null(text);
    assert_string_equal(text, wanted);
    free(text);
}

static struct manifest parse(const char *text) {
    struct manifest manifest = {0};
    assert_true(manifest_parse(&manifest, span_of_text(text), NULL));
    return manifest;
}

static void test_quoted(void **state) {
    (void)state;
    struct buf out = {0};
    assert_true(render_quoted(&out, span_of_text("a\"b\\c\n\r\t\x01\x7f\xc3\xa9/")));
    expect(&out, "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u007f\xc3\xa9/\"");
}

static const char VALUE[] = "name: x\n"
                            "port: 80\n"
                            "on: true\n"
                            "text: \"80\"\n"
                            "nothing:\n"
                            "empty: {}\n"
                            "list:\n"
                            "- a: 1\n"
                            "  b: [x, \"y\"]\n"
                            "- plain\n"
                            "- []\n";

static void test_json(void **state) {
    (void)state;
    struct manifest manifest = parse(VALUE);
    struct buf out = {0};
    assert_true(render_json(&out, manifest.first, (struct render_layout){0}));
    expect(&out, "{\"name\": \"x\", \"port\": 80, \"on\": true, \"text\": \"80\", \"nothing\": "
                 "null, \"empty\": {}, \"list\": [{\"a\": 1, \"b\": [\"x\", \"y\"]}, \"plain\", "
                 "[]]}");
    assert_true(render_json(&out, manifest_find(manifest.first, "list"),
                            (struct render_layout){.indent = 4, .step = 2, .newline = "\r\n"}));
    expect(&out, "[\r\n      {\r\n        \"a\": 1,\r\n        \"b\": [\r\n          \"x\",\r\n"
                 "          \"y\"\r\n        ]\r\n      },\r\n      \"plain\",\r\n      []\r\n    "
                 "]");
    manifest_fini(&manifest);
}

static void test_block(void **state) {
    (void)state;
    struct manifest manifest = parse(VALUE);
    struct buf out = {0};
    assert_true(render_block(&out, manifest.first, 2, "\n"));
    expect(&out, "  name: x\n"
                 "  port: 80\n"
                 "  on: true\n"
                 "  text: \"80\"\n"
                 "  nothing: \n"
                 "  empty: {}\n"
                 "  list:\n"
                 "    - a: 1\n"
                 "      b: [\"x\", \"y\"]\n"
                 "    - plain\n"
                 "    - []\n");
    manifest_fini(&manifest);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quoted),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
