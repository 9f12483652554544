#include "agent/inject/change.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct manifest_node *value(struct change_list *list, const char *text) {
    struct buf buf = {0};
    assert_true(buf_append_text(&buf, text));
    struct manifest_node *node = change_value(list, &buf, NULL);
    assert_non_null(node);
    return node;
}

// Puts `pair` into the map at `path` of `text`.
static void expect(const char *text, const char *path, const char *pair, const char *edited,
                   const char *patch) {
    struct manifest manifest = {0};
    struct change_list list = {0};
    struct edit_list edits = {0};
    struct buf out = {0};
    struct err err = {0};
    assert_true(manifest_parse(&manifest, span_of_text(text), &err));
    struct manifest_node *map = manifest_at(manifest.first, path);
    assert_true(change_put(&list, map, value(&list, pair), &err));
    assert_int_equal(list.num, 1);
    assert_true(change_to_edits(&list.changes[0], span_of_text(text), &edits, &err));
    assert_true(edit_apply(&edits, span_of_text(text), &out, &err));
    char *got = buf_take_text(&out);
    assert_string_equal(got, edited);
    free(got);
    assert_true(change_to_patch(&list.changes[0], manifest.first, &out));
    got = buf_take_text(&out);
    assert_string_equal(got, patch);
    free(got);
    edit_list_fini(&edits);
    change_list_fini(&list);
    manifest_fini(&manifest);
}

static void test_block(void **state) {
    (void)state;
    // A new pair comes behind a first one of one line, else before the first.
    expect("m:\n    a: 1 # one\n    b: 2\n", "m", "x: [y]",
           "m:\n    a: 1 # one\n    x: [\"y\"]\n    b: 2\n",
           "{\"op\":\"add\",\"path\":\"/m/x\",\"value\":[\"y\"]},");
    expect("m:\n  a:\n  - 1\n", "m", "a/b~: y", "m:\n  a/b~: y\n  a:\n  - 1\n",
           "{\"op\":\"add\",\"path\":\"/m/a~1b~0\",\"value\":\"y\"},");
    // Items come first.
    expect("l:\n# first\n- a\n", "", "l: [x, y]", "l:\n# first\n- x\n- y\n- a\n",
           "{\"op\":\"add\",\"path\":\"/l/0\",\"value\":\"x\"},"
           "{\"op\":\"add\",\"path\":\"/l/1\",\"value\":\"y\"},");
    // What is empty is replaced.
    expect("a: 1\nl: [] # none\nb: 2\n", "", "l:\n- x: 1\n", "a: 1\nl:\n  - x: 1 # none\nb: 2\n",
           "{\"op\":\"remove\",\"path\":\"/l\"},"
           "{\"op\":\"add\",\"path\":\"/l\",\"value\":[{\"x\": 1}]},");
    expect("l:\nb: 2\n", "", "l:\n- x: 1\n", "l:\n  - x: 1\nb: 2\n",
           "{\"op\":\"remove\",\"path\":\"/l\"},"
           "{\"op\":\"add\",\"path\":\"/l\",\"value\":[{\"x\": 1}]},");
    // The text's last line need not end.
    expect("a: 1", "", "x: y", "a: 1\nx: y", "{\"op\":\"add\",\"path\":\"/x\",\"value\":\"y\"},");
}

static void test_flow(void **state) {
    (void)state;
    expect("{\"a\":1}", "", "x: y", "{\"x\": \"y\",\"a\":1}",
           "{\"op\":\"add\",\"path\":\"/x\",\"value\":\"y\"},");
    expect(
        "{\n    \"a\": [\n        1\n    ]\n}\n", "", "a: [{x: y}]",
        "{\n    \"a\": [\n        {\n            \"x\": \"y\"\n        },\n        1\n    ]\n}\n",
        "{\"op\":\"add\",\"path\":\"/a/0\",\"value\":{\"x\": \"y\"}},");
    expect("{a: [], b: 1}", "", "a: [1]", "{\"a\": [1], b: 1}",
           "{\"op\":\"remove\",\"path\":\"/a\"},{\"op\":\"add\",\"path\":\"/a\",\"value\":[1]},");
}

static void expect_refusal(const char *text, const char *pair, const char *sentence) {
    struct manifest manifest = {0};
    struct change_list list = {0};
    struct edit_list edits = {0};
    struct err err = {0};
    assert_true(manifest_parse(&manifest, span_of_text(text), &err));
    bool ok = change_put(&list, manifest.first, value(&list, pair), &err) &&
              change_to_edits(&list.changes[0], span_of_text(text), &edits, &err);
    assert_false(ok);
    assert_non_null(strstr(err.msg, sentence));
    edit_list_fini(&edits);
    change_list_fini(&list);
    manifest_fini(&manifest);
}

static void test_refusals(void **state) {
    (void)state;
    expect_refusal("a: {b: c}\n", "a: [x]", "a is not a list");
    expect_refusal("a: [b]\n", "a: {x: y}", "a is not a mapping");
    expect_refusal("a: &b [c]\n", "a: [x]", "a is an anchor");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_block),
        cmocka_unit_test(test_flow),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
