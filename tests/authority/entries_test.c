// The entries file: first match wins, and every mistake is named with its line and column.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "authority/entries.h"
#include "base/err.h"

static struct entries *parse(const char *text, struct err *err) {
    return entries_parse("e.yaml", span_of_text(text), "example.org", err);
}

static void test_first_match_wins(void **state) {
    (void)state;
    struct err err = {0};
    OWNED(entries_free)
    struct entries *entries = parse("- {uid: 1001, spiffeId: \"spiffe://example.org/web\"}\n"
                                    "- uid: 1002\n"
                                    "  spiffeId: spiffe://example.org/ns/default/sa/db\n"
                                    "- {spiffeId: 'spiffe://example.org/late', uid: 1001}\n"
                                    "- {uid: 0, spiffeId: spiffe://example.org/root}\n"
                                    "- {uid: 4294967294, spiffeId: spiffe://example.org/max}\n",
                                    &err);
    assert_non_null(entries);
    assert_int_equal(entries_num(entries), 5);
    assert_string_equal(entries_find(entries, 1001), "spiffe://example.org/web");
    assert_string_equal(entries_find(entries, 1002), "spiffe://example.org/ns/default/sa/db");
    assert_string_equal(entries_find(entries, 0), "spiffe://example.org/root");
    assert_string_equal(entries_find(entries, UINT32_MAX - 1), "spiffe://example.org/max");
    assert_null(entries_find(entries, 1003));
}

static void test_empty_list_matches_nobody(void **state) {
    (void)state;
    struct err err = {0};
    OWNED(entries_free) struct entries *entries = parse("[]\n", &err);
    assert_non_null(entries);
    assert_int_equal(entries_num(entries), 0);
    assert_null(entries_find(entries, 0));
}

#define ID "spiffeId: \"spiffe://example.org/a\""

static const struct mistake {
    const char *text;
    const char *where; // how the sentence begins
    const char *says;  // a part of it
} mistakes[] = {
    {"", "e.yaml:1:1: ", "empty"},
    {"# nothing\n", "e.yaml:2:1: ", "empty"},
    {"uid: 1\n", "e.yaml:1:1: ", "list"},
    {"hello\n", "e.yaml:1:1: ", "list"},
    {"- 1001\n", "e.yaml:1:3: ", "an entry is written"},
    {"- [1, 2]\n", "e.yaml:1:3: ", "an entry is written"},
    {"- {uid: 1, " ID "}\n- {uid: x, " ID "}\n", "e.yaml:2:9: ", "number"},
    {"- {uid: \"1\", " ID "}\n", "e.yaml:1:9: ", "number"},
    {"- {uid: -1, " ID "}\n", "e.yaml:1:9: ", "number"},
    {"- {uid: 4294967295, " ID "}\n", "e.yaml:1:9: ", "number"},
    {"- {uid: 99999999999999999999, " ID "}\n", "e.yaml:1:9: ", "number"},
    {"- {uid: 0x10, " ID "}\n", "e.yaml:1:9: ", "number"},
    {"- {uid: , " ID "}\n", "e.yaml:1:9: ", "number"},
    {"- {uid: [1], " ID "}\n", "e.yaml:1:9: ", "number"},
    {"- {uid: 1, uid: 2, " ID "}\n", "e.yaml:1:12: ", "twice"},
    {"- {uid: 1, " ID ", " ID "}\n", "e.yaml:1:", "twice"},
    {"- " ID "\n", "e.yaml:1:3: ", "no uid"},
    {"- uid: 1\n- {uid: 2, " ID "}\n", "e.yaml:1:3: ", "no spiffeId"},
    {"- {uid: 1, id: x}\n", "e.yaml:1:12: ", "unknown key"},
    {"- {uid: 1, [a]: x}\n", "e.yaml:1:12: ", "unknown key"},
    {"- {uid: 1, spiffeId: [a]}\n", "e.yaml:1:22: ", "text"},
    {"- {uid: 1, spiffeId: web}\n", "e.yaml:1:22: ", ""},
    {"- {uid: 1, spiffeId: \"spiffe://other.org/a\"}\n", "e.yaml:1:22: ", "trust domain"},
    {"- {uid: 1, spiffeId: \"spiffe://example.org\"}\n", "e.yaml:1:22: ", "path"},
    {"- {uid: 1, spiffeId: \"spiffe://example.org/a\\0b\"}\n", "e.yaml:1:22: ", ""},
    {"- {uid: 1, spiffeId: \"spiffe://EXAMPLE.org/a\"}\n", "e.yaml:1:22: ", ""},
    {"- &x {uid: 1, " ID "}\n- *x\n", "e.yaml:2:3: ", "aliases"},
    {"- {uid: 1, " ID "}\n---\n- {uid: 2, " ID "}\n", "e.yaml:2:1: ", "one document"},
    {"- {uid: 1, " ID "\n", "e.yaml:2:1: ", ""},
    {"- {uid: 1, " ID "}\n\t- x\n", "e.yaml:2:", ""},
    {"- {uid: 1, spiffeId: \"\xff\"}\n", "e.yaml:", ""},
};

// It has no bytes to point to.
static void test_empty_file(void **state) {
    (void)state;
    struct err err = {0};
    assert_null(entries_parse("e.yaml", span_of(NULL, 0), "example.org", &err));
    assert_non_null(strstr(err.msg, "the file is empty"));
}

static void test_mistakes_are_placed(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        struct err err = {0};
        OWNED(entries_free) struct entries *entries = parse(mistakes[i].text, &err);
        bool as_said = entries == NULL && err.class == ERR_INPUT &&
                       strncmp(err.msg, mistakes[i].where, strlen(mistakes[i].where)) == 0 &&
                       strstr(err.msg, mistakes[i].says) != NULL;
        if (!as_said) {
            fail_msg("mistake %zu: \"%s\" gave \"%s\"", i, mistakes[i].text, err.msg);
        }
    }
}

// Every prefix of a good file either parses or is refused; none is read beyond its end (ASan).
static void test_truncated(void **state) {
    (void)state;
    static const char text[] = "- {uid: 1001, spiffeId: \"spiffe://example.org/web\"}\n"
                               "- {uid: 1002, spiffeId: 'spiffe://example.org/db'}\n";
    for (size_t len = 0; len < sizeof(text); len++) {
        struct err err = {0};
        char *copy = malloc(len + 1);
        assert_non_null(copy);
        memcpy(copy, text, len);
        OWNED(entries_free)
        struct entries *entries = entries_parse("e", span_of(copy, len), "example.org", &err);
        assert_true((entries == NULL) == (err.class == ERR_INPUT));
        free(copy);
    }
}

static void test_deep_nesting_ends(void **state) {
    (void)state;
    struct err err = {0};
    char text[4096];
    memset(text, '[', sizeof(text));
    assert_null(entries_parse("e", span_of(text, sizeof(text)), "example.org", &err));
    assert_int_equal(err.class, ERR_INPUT);
}

static void test_missing_file(void **state) {
    (void)state;
    struct err err = {0};
    assert_null(entries_load("does/not/exist.yaml", "example.org", &err));
    assert_int_equal(err.class, ERR_INPUT);
    assert_non_null(strstr(err.msg, "does/not/exist.yaml"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_match_wins), cmocka_unit_test(test_empty_list_matches_nobody),
        cmocka_unit_test(test_empty_file),       cmocka_unit_test(test_mistakes_are_placed),
        cmocka_unit_test(test_truncated),        cmocka_unit_test(test_deep_nesting_ends),
        cmocka_unit_test(test_missing_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
