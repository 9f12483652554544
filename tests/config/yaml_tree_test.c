#include "agent/config/yaml_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

struct parsed {
    bool ok;
    struct yaml_tree tree;
    struct report report;
};

static struct parsed parse_bytes(const void *bytes, size_t len) {
    struct parsed parsed;
    report_init(&parsed.report);
    parsed.ok = yaml_tree_parse(&parsed.tree, span_of(bytes, len), &parsed.report);
    return parsed;
}

static struct parsed parse(const char *text) {
    return parse_bytes(text, strlen(text));
}

static void fini(struct parsed *parsed) {
    yaml_tree_fini(&parsed->tree);
    report_fini(&parsed->report);
}

static void expect_place(const struct yaml_tree_node *node, unsigned line, unsigned column) {
    assert_non_null(node);
    assert_int_equal(node->place.line, line);
    assert_int_equal(node->place.column, column);
}

static void test_nodes_know_their_place(void **state) {
    (void)state;
    struct parsed parsed = parse("a: 1\nbb:\n  - x\n  - {k: \"\xc3\xa9\", l: 'v'}\n");
    assert_true(parsed.ok);
    struct yaml_tree_node *root = parsed.tree.root;
    assert_int_equal(root->kind, YAML_TREE_MAPPING);
    expect_place(yaml_tree_find(root, "a"), 1, 4);
    struct yaml_tree_node *list = yaml_tree_find(root, "bb");
    assert_int_equal(list->num, 2);
    expect_place(list->key, 2, 1);
    expect_place(list->first, 3, 5);
    struct yaml_tree_node *map = list->last;
    expect_place(map, 4, 5);
    expect_place(yaml_tree_find(map, "k"), 4, 9);
    expect_place(yaml_tree_find(map, "l"), 4, 17); // columns count characters, not bytes
    assert_false(yaml_tree_find(map, "l")->is_plain);
    assert_null(yaml_tree_find(map, "none"));
    assert_null(yaml_tree_find(NULL, "none"));
    fini(&parsed);
}

static void test_nothing_is_an_empty_tree(void **state) {
    (void)state;
    static const char *const texts[] = {"", "\n\n", "# only a comment\n", "\xef\xbb\xbf"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct parsed parsed = parse(texts[i]);
        assert_true(parsed.ok);
        assert_true(parsed.tree.root == NULL || yaml_tree_is_null(parsed.tree.root));
        fini(&parsed);
    }
    struct parsed parsed = parse_bytes(NULL, 0); // an empty file has no bytes to point to
    assert_true(parsed.ok);
    fini(&parsed);
}

static void expect_one_error(const char *text, bool ok, unsigned line, unsigned column,
                             const char *part) {
    struct parsed parsed = parse(text);
    assert_int_equal(parsed.ok, ok);
    assert_int_equal(parsed.report.num_errors, 1);
    const struct report_entry *entry = &parsed.report.entries[0];
    if (strstr(entry->sentence, part) == NULL) {
        fail_msg("%s: \"%s\" does not hold \"%s\"", text, entry->sentence, part);
    }
    assert_int_equal(entry->place.line, line);
    assert_int_equal(entry->place.column, column);
    fini(&parsed);
}

static void test_what_is_refused(void **state) {
    (void)state;
    expect_one_error("a: 1\nb: 2\na: 3\n", true, 3, 1, "already given in line 1");
    expect_one_error("a: &x 1\nb: *x\n", true, 2, 4, "aliases");
    expect_one_error("a: !!int 1\n", true, 1, 4, "tags");
    expect_one_error("a: ! 1\n", true, 1, 4, "tags");
    expect_one_error("a: !x [1]\n", true, 1, 4, "tags");
    expect_one_error("a: \"x\\ry\"\n", true, 1, 4, "control character");
    expect_one_error("a: \"x\\0y\"\n", true, 1, 4, "control character");
    expect_one_error("a: \"\\x7f\"\n", true, 1, 4, "control character");
    expect_one_error("a: \"\\x80\"\n", true, 1, 4, "control character");
    expect_one_error("a: \"\\u2028\"\n", true, 1, 4, "control character");
    expect_one_error("a: x\xe2\x80\xaey\n", true, 1, 4, "control character");
    expect_one_error("a: \"\\ufeff\"\n", true, 1, 4, "control character");
    expect_one_error("? [a]\n: 1\n", false, 1, 3, "a key is plain text");
    expect_one_error("a: 1\n---\nb: 2\n", false, 2, 1, "second document");
    expect_one_error("a: [1, 2\nb: 3\n", false, 2, 2, "not YAML");
    expect_one_error("a: 1\n b: 2\n", false, 2, 3, "not YAML");
    expect_one_error("\tb: 2\n", false, 1, 1, "not YAML");
    expect_one_error("a: 1\nb: \x01\n", false, 2, 4, "control characters");
    expect_one_error("a: 1\nb: \xff\n", false, 2, 4, "not YAML");
    expect_one_error("a: b\xc3", false, 1, 5, "not YAML");
}

static void test_a_nul_byte_is_not_an_end(void **state) {
    (void)state;
    static const char text[] = "a: 1\nb: 2\0c: 3\n";
    struct parsed parsed = parse_bytes(text, sizeof text - 1);
    assert_false(parsed.ok);
    assert_true(report_has_errors(&parsed.report));
    fini(&parsed);
}

// `num` times `unit`, between two texts.
static struct parsed parse_repeated(const char *before, const char *unit, size_t num) {
    struct buf text = {0};
    assert_true(buf_append_text(&text, before));
    for (size_t i = 0; i < num; i++) {
        assert_true(buf_printf(&text, unit, i));
    }
    struct span bytes = buf_span(&text);
    struct parsed parsed = parse_bytes(bytes.ptr, bytes.len);
    buf_fini(&text);
    return parsed;
}

static void test_limits(void **state) {
    (void)state;
    struct parsed deep = parse_repeated("", "[", 100000);
    assert_false(deep.ok);
    assert_non_null(strstr(deep.report.entries[0].sentence, "nesting is too deep"));
    fini(&deep);
    struct parsed many = parse_repeated("", "- %zu\n", YAML_TREE_NODES_MAX + 1);
    assert_false(many.ok);
    assert_non_null(strstr(many.report.entries[0].sentence, "too many values"));
    fini(&many);
    struct parsed keys = parse_repeated("", "k%zu: 1\n", YAML_TREE_KEYS_MAX + 1);
    assert_false(keys.ok);
    assert_non_null(strstr(keys.report.entries[0].sentence, "too many keys"));
    fini(&keys);
    struct parsed fits = parse_repeated("", "k%zu: 1\n", YAML_TREE_KEYS_MAX);
    assert_true(fits.ok);
    assert_int_equal(fits.tree.root->num, YAML_TREE_KEYS_MAX);
    fini(&fits);
}

static void test_other_scripts_are_fine(void **state) {
    (void)state;
    struct parsed parsed = parse("a: \"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xe2\x80\x93\"\n");
    assert_true(parsed.ok);
    assert_false(report_has_errors(&parsed.report));
    fini(&parsed);
}

static void test_null_is_unquoted(void **state) {
    (void)state;
    struct parsed parsed = parse("a:\nb: ~\nc: null\nd: ''\ne: \"null\"\nf: []\n");
    assert_true(parsed.ok);
    const struct yaml_tree_node *root = parsed.tree.root;
    assert_true(yaml_tree_is_null(yaml_tree_find(root, "a")));
    assert_true(yaml_tree_is_null(yaml_tree_find(root, "b")));
    assert_true(yaml_tree_is_null(yaml_tree_find(root, "c")));
    assert_false(yaml_tree_is_null(yaml_tree_find(root, "d")));
    assert_false(yaml_tree_is_null(yaml_tree_find(root, "e")));
    assert_false(yaml_tree_is_null(yaml_tree_find(root, "f")));
    fini(&parsed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes_know_their_place),
        cmocka_unit_test(test_nothing_is_an_empty_tree),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_a_nul_byte_is_not_an_end),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_other_scripts_are_fine),
        cmocka_unit_test(test_null_is_unquoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
