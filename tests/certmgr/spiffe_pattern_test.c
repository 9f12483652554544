// Patterns: examples, and random pairs against a slow matcher written another way. The oracle works
// on C strings, splits both sides first and decides by recursion.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "certmgr/spiffe_id.h"

#define NUM_PAIRS 1000000
#define PARTS_MAX 16

struct parts {
    size_t num;
    char text[PARTS_MAX][32];
};

static bool pattern_is_valid(const char *pattern) {
    return spiffe_pattern_check(span_of_text(pattern), NULL);
}

static bool matches(const char *pattern, const char *text) {
    struct spiffe_id id;
    assert_true(pattern_is_valid(pattern));
    assert_true(spiffe_id_parse(&id, span_of_text(text), NULL));
    return spiffe_pattern_matches(span_of_text(pattern), &id);
}

static void test_patterns(void **state) {
    (void)state;
    static const struct {
        const char *pattern;
        const char *id;
        bool expected;
    } rows[] = {
        {"spiffe://td/a", "spiffe://td/a", true},
        {"spiffe://td/a", "spiffe://td/b", false},
        {"spiffe://td/a", "spiffe://td/A", false},
        {"spiffe://td/a", "spiffe://td/ab", false},
        {"spiffe://td/ab", "spiffe://td/a", false},
        {"spiffe://td/a", "spiffe://td", false},
        {"spiffe://td", "spiffe://td", true},
        {"spiffe://td", "spiffe://td/a", false},
        {"spiffe://td/a", "spiffe://td2/a", false},
        {"spiffe://td.x/a", "spiffe://tdxx/a", false}, // a dot is a dot
        {"spiffe://td/ns/*/sa/web", "spiffe://td/ns/prod/sa/web", true},
        {"spiffe://td/ns/*/sa/web", "spiffe://td/ns/sa/web", false},
        {"spiffe://td/ns/*/sa/web", "spiffe://td/ns/a/b/sa/web", false},
        {"spiffe://td/ns/*/sa/web", "spiffe://td/ns/prod/sa/web2", false},
        {"spiffe://td/*", "spiffe://td/a", true},
        {"spiffe://td/*", "spiffe://td/a/b", false},
        {"spiffe://td/*", "spiffe://td", false},
        {"spiffe://td/*/*", "spiffe://td/a/b", true},
        {"spiffe://td/**", "spiffe://td/a", true},
        {"spiffe://td/**", "spiffe://td/a/b/c", true},
        {"spiffe://td/**", "spiffe://td", false},
        {"spiffe://td/a/**", "spiffe://td/a", false},
        {"spiffe://td/a/**", "spiffe://td/a/b/c", true},
        {"spiffe://td/a/**", "spiffe://td/ab/c", false},
        {"spiffe://td/*/b/**", "spiffe://td/a/b/c", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (matches(rows[i].pattern, rows[i].id) != rows[i].expected) {
            fail_msg("%s on %s is not %d", rows[i].pattern, rows[i].id, rows[i].expected);
        }
    }
}

static void test_bad_patterns(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "*",
        "**",
        "spiffe://*/a",
        "spiffe://*",
        "spiffe://**",
        "spiffe://td*/a",
        "spiffe://td/a*",
        "spiffe://td/*a",
        "spiffe://td/a*b",
        "spiffe://td/***",
        "spiffe://td/**/a",
        "spiffe://td/**/*",
        "spiffe://td/**/",
        "spiffe://td/*/",
        "spiffe://td/",
        "spiffe://td//a",
        "spiffe://td/[a-z]",
        "spiffe://td/a+",
        "spiffe://td/a?",
        "spiffe://td/.",
        "spiffe://td/..",
        "spiffe://TD/a",
        "spiffe://td:1/a",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (pattern_is_valid(bad[i])) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    assert_false(spiffe_pattern_check(span_of("spiffe://td/*\0", 14), NULL));
}

static struct parts split(const char *text) {
    struct parts parts = {0};
    char copy[256];
    snprintf(copy, sizeof copy, "%s", text + strlen("spiffe://"));
    char *rest = NULL;
    for (char *part = strtok_r(copy, "/", &rest); part != NULL; part = strtok_r(NULL, "/", &rest)) {
        snprintf(parts.text[parts.num++], sizeof parts.text[0], "%s", part);
    }
    return parts;
}

static bool oracle_from(const struct parts *pattern, size_t p, const struct parts *id, size_t i) {
    if (p == pattern->num || i == id->num) {
        return p == pattern->num && i == id->num;
    }
    if (strcmp(pattern->text[p], "**") == 0) { // one segment now, then perhaps more
        return oracle_from(pattern, p + 1, id, i + 1) || oracle_from(pattern, p, id, i + 1);
    }
    bool equal = strcmp(pattern->text[p], "*") == 0 || strcmp(pattern->text[p], id->text[i]) == 0;
    return equal && oracle_from(pattern, p + 1, id, i + 1);
}

static unsigned below(unsigned *seed, unsigned limit) {
    return (unsigned)rand_r(seed) % limit;
}

// Few names and short paths, so that many pairs match.
static void make_id(char *out, size_t size, unsigned *seed, bool pattern) {
    static const char *const domains[] = {"a", "b", "a.b"};
    static const char *const segments[] = {"a", "b", "aa", "a.a", "...", "A"};
    size_t used = (size_t)snprintf(out, size, "spiffe://%s", domains[below(seed, 3)]);
    unsigned num = below(seed, 5);
    for (unsigned i = 0; i < num; i++) {
        unsigned kind = pattern ? below(seed, 4) : 0;
        const char *segment = segments[below(seed, 6)];
        if (kind == 1) {
            segment = i + 1 == num && below(seed, 2) == 0 ? "**" : "*";
        }
        used += (size_t)snprintf(out + used, size - used, "/%s", segment);
    }
}

static void test_random_pairs(void **state) {
    (void)state;
    const char *fixed = getenv("SEED");
    unsigned seed = fixed == NULL ? (unsigned)time(NULL) : (unsigned)strtoul(fixed, NULL, 10);
    printf("SEED=%u\n", seed);
    size_t num_matches = 0;
    for (size_t i = 0; i < NUM_PAIRS; i++) {
        char pattern[128];
        char text[128];
        make_id(pattern, sizeof pattern, &seed, true);
        make_id(text, sizeof text, &seed, false);
        struct parts p = split(pattern);
        struct parts t = split(text);
        bool expected = oracle_from(&p, 0, &t, 0);
        num_matches += expected;
        if (matches(pattern, text) != expected) {
            fail_msg("%s on %s is not %d", pattern, text, expected);
        }
    }
    assert_true(num_matches > NUM_PAIRS / 100); // otherwise the generator shows nothing
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_bad_patterns),
        cmocka_unit_test(test_random_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
