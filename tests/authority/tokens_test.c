// The tokens file: who a token is, and every mistake with its line and column, without the token.
#include "authority/tokens.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define A "aaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbb"
#define ID "spiffeId: \"spiffe://example.org/a\""

static struct tokens *parse(const char *text, struct err *err) {
    return tokens_parse("t.yaml", span_of_text(text), "example.org", err);
}

static const char *find(const struct tokens *tokens, const char *token) {
    return tokens_find(tokens, span_of_text(token));
}

static void test_find(void **state) {
    (void)state;
    struct err err = {0};
    OWNED(tokens_free)
    struct tokens *tokens = parse("- {token: \"" A "\", spiffeId: \"spiffe://example.org/web\"}\n"
                                  "- token: " B "\n"
                                  "  spiffeId: spiffe://example.org/ns/default/sa/db\n",
                                  &err);
    assert_non_null(tokens);
    assert_int_equal(tokens_num(tokens), 2);
    assert_string_equal(find(tokens, A), "spiffe://example.org/web");
    assert_string_equal(find(tokens, B), "spiffe://example.org/ns/default/sa/db");
    assert_null(find(tokens, ""));
    assert_null(find(tokens, A "a"));
    assert_null(find(tokens, "aaaaaaaaaaaaaaa"));
    assert_null(find(tokens, "aaaaaaaaaaaaaaab"));
    assert_null(find(tokens, "Aaaaaaaaaaaaaaaa"));
    assert_null(tokens_find(tokens, span_of(A "\0", sizeof(A))));
}

static void test_empty_list_knows_nobody(void **state) {
    (void)state;
    struct err err = {0};
    OWNED(tokens_free) struct tokens *tokens = parse("[]\n", &err);
    assert_non_null(tokens);
    assert_null(find(tokens, ""));
}

static const struct mistake {
    const char *text;
    const char *where;
    const char *says;
} mistakes[] = {
    {"", "t.yaml:1:1: ", "empty"},
    {"hello\n", "t.yaml:1:1: ", "list"},
    {"- hello\n", "t.yaml:1:3: ", "an entry is written"},
    {"- {token: short, " ID "}\n", "t.yaml:1:11: ", "16 to 4096"},
    {"- {token: \"\", " ID "}\n", "t.yaml:1:11: ", "16 to 4096"},
    {"- {token: \"aaaaaaaa aaaaaaaaaa\", " ID "}\n", "t.yaml:1:11: ", "without spaces"},
    {"- {token: \"aaaaaaaa\\0aaaaaaaaaa\", " ID "}\n", "t.yaml:1:11: ", "printable"},
    {"- {token: [" A "], " ID "}\n", "t.yaml:1:11: ", "token must be"},
    {"- {token: " A ", " ID "}\n- {token: " A ", " ID "}\n", "t.yaml:2:11: ", "already"},
    {"- {token: " A ", token: " B ", " ID "}\n", "t.yaml:1:29: ", "twice"},
    {"- {token: " A "}\n", "t.yaml:1:3: ", "no spiffeId"},
    {"- {" ID "}\n", "t.yaml:1:3: ", "no token"},
    {"- {token: " A ", uid: 1}\n", "t.yaml:1:29: ", "unknown key"},
    {"- {token: " A ", spiffeId: \"spiffe://other.org/a\"}\n", "t.yaml:1:", "trust domain"},
    {"- {token: " A ", spiffeId: \"spiffe://example.org\"}\n", "t.yaml:1:", "path"},
    {"- &x {token: " A ", " ID "}\n- *x\n", "t.yaml:2:3: ", "aliases"},
};

static void test_mistakes_are_placed(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        struct err err = {0};
        OWNED(tokens_free) struct tokens *tokens = parse(mistakes[i].text, &err);
        bool as_said = tokens == NULL && err.class == ERR_INPUT &&
                       strncmp(err.msg, mistakes[i].where, strlen(mistakes[i].where)) == 0 &&
                       strstr(err.msg, mistakes[i].says) != NULL && strstr(err.msg, "aaaa") == NULL;
        if (!as_said) {
            fail_msg("mistake %zu: \"%s\" gave \"%s\"", i, mistakes[i].text, err.msg);
        }
    }
}

static void test_too_many(void **state) {
    (void)state;
    size_t room = (TOKENS_MAX + 1) * 80;
    char *text = malloc(room);
    size_t len = 0;
    for (size_t i = 0; i <= TOKENS_MAX; i++) {
        len += (size_t)snprintf(text + len, room - len,
                                "- {token: token-number-%06zu, spiffeId: spiffe://example.org/a}\n",
                                i);
    }
    struct err err = {0};
    assert_null(parse(text, &err));
    assert_non_null(strstr(err.msg, "too many"));
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_empty_list_knows_nobody),
        cmocka_unit_test(test_mistakes_are_placed),
        cmocka_unit_test(test_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
