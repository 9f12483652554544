#include "agent/inject/manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct manifest parse(const char *text) {
    struct manifest manifest = {0};
    struct err err = {0};
    if (!manifest_parse(&manifest, span_of_text(text), &err)) {
        fail_msg("%s: %s", text, err.msg);
    }
    return manifest;
}

static void expect_bytes(const char *text, const struct manifest_node *node, const char *bytes) {
    assert_non_null(node);
    size_t len = node->end - node->start;
    if (len != strlen(bytes) || memcmp(text + node->start, bytes, len) != 0) {
        fail_msg("%.*s", (int)len, text + node->start);
    }
}

static void test_nodes_know_their_bytes(void **state) {
    (void)state;
    static const char TEXT[] = "\xef\xbb\xbf"
                               "\xc3\xa9: \"\xf0\x9f\x98\x80\" # \xc3\xa9\n"
                               "map:\n"
                               "  a: x y\n"
                               "  list:\n"
                               "  - {k: [1, 2]}\n"
                               "  -   b: |\n"
                               "        two\n"
                               "        lines\n"
                               "\n"
                               "\n"
                               "  # a comment\n"
                               "  none:\n"
                               "---\n"
                               "second\n";
    struct manifest manifest = parse(TEXT);
    struct manifest_node *root = manifest.first;
    expect_bytes(TEXT, manifest_find(root, "\xc3\xa9"), "\"\xf0\x9f\x98\x80\"");
    expect_bytes(TEXT, manifest_at(root, "map/a"), "x y");
    struct manifest_node *list = manifest_at(root, "map/list");
    assert_int_equal(list->num, 2);
    expect_bytes(TEXT, list->first, "{k: [1, 2]}");
    assert_true(list->first->is_flow);
    expect_bytes(TEXT, manifest_find(list->first, "k"), "[1, 2]");
    expect_bytes(TEXT, list->last, "b: |\n        two\n        lines");
    expect_bytes(TEXT, list, "- {k: [1, 2]}\n  -   b: |\n        two\n        lines");
    assert_string_equal(manifest_text(list->last, "b"), "two\nlines\n");
    assert_true(manifest_is_null(manifest_at(root, "map/none")));
    assert_ptr_equal(list->last->parent, list);
    expect_bytes(TEXT, root->next, "second");
    assert_null(root->next->next);
    assert_null(manifest_find(root, "nothing"));
    assert_null(manifest_find(NULL, "nothing"));
    assert_null(manifest_at(root, "map/a/b"));
    assert_null(manifest_text(root, "map"));
    manifest_fini(&manifest);
}

static void test_scalars(void **state) {
    (void)state;
    struct manifest manifest = parse(
        "[1, 0123456789012345678, true, null, ~, '', 1.5, -1, \"1\", text, &a x, *a, {}, []]");
    static const bool BARE[] = {true,  false, true,  true,  true,  false, false,
                                false, false, false, false, false, false};
    const struct manifest_node *node = manifest.first->first;
    size_t i = 0;
    for (; node != NULL && i < sizeof BARE; node = node->next, i++) {
        if (manifest_is_bare(node) != BARE[i]) {
            fail_msg("%zu: %s", i, node->text);
        }
    }
    assert_true(manifest_is_empty(manifest.first->last));
    manifest_fini(&manifest);
}

static void expect_failure(struct span text, const char *sentence) {
    struct manifest manifest = {0};
    struct err err = {0};
    if (manifest_parse(&manifest, text, &err) || strstr(err.msg, sentence) == NULL) {
        fail_msg("%.*s says: %s", (int)text.len, (const char *)text.ptr, err.msg);
    }
    manifest_fini(&manifest);
}

static void test_failures(void **state) {
    (void)state;
    expect_failure(span_of_text("a: b\n  c: d\n"), "2:4: this is neither YAML nor JSON");
    expect_failure(span_of_text("{a: 1,\n \xc3\xa9: 2, a: 3}"), "2:8: this key is there twice");
    expect_failure(span_of_text("[a]: 1\n"), "1:1: a key must be plain text");
    expect_failure(span_of_text("a: \"\\0\"\n"), "1:4: this text holds a NUL");
    expect_failure(span_of_text("\xff\xfe"), "1:1: this is UTF-16");
    expect_failure(span_of_text("a: \xff"), "1:4: this is neither");
    expect_failure(span_of_text("{\"a\": \"\\ud83d\\ude00\"}"),
                   "write a character beyond U+FFFF itself, not as two \\u");
    char deep[MANIFEST_DEPTH_MAX * 2];
    memset(deep, '[', sizeof deep);
    expect_failure(span_of(deep, sizeof deep), "the nesting is too deep here");
    char *much = calloc(1, MANIFEST_BYTES_MAX + 1);
    assert_non_null(much);
    expect_failure(span_of(much, MANIFEST_BYTES_MAX + 1), "longer than 16 MiB");
    free(much);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes_know_their_bytes),
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
