// SPIFFE-ID, section 2. The examples of the specification, and the limits.
#include "certmgr/spiffe_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool parses(const char *text) {
    struct spiffe_id id;
    struct err err = {0};
    bool ok = spiffe_id_parse(&id, span_of_text(text), &err);
    assert_int_equal(ok, err.msg[0] == '\0');
    return ok;
}

static void test_accepted(void **state) {
    (void)state;
    static const char *const accepted[] = {
        "spiffe://example.org",
        "spiffe://example.org/x",
        "spiffe://example.org/ns/default/sa/web",
        "spiffe://10.2.3.4/a",
        "spiffe://a_b-c.d/x",
        "spiffe://e/.../..a/a../.a/-/_",
        "spiffe://example.org/UPPER/lower/0-9._",
        "spiffe://-/x",
        "spiffe://./x",
    };
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        if (!parses(accepted[i])) {
            fail_msg("refused: %s", accepted[i]);
        }
    }
}

static void test_refused(void **state) {
    (void)state;
    static const char *const refused[] = {
        "",
        "spiffe",
        "spiffe:",
        "spiffe:/",
        "spiffe://",
        "spiffe:///x",
        "SPIFFE://example.org/x",
        "Spiffe://example.org/x",
        "http://example.org/x",
        "example.org/x",
        " spiffe://example.org/x",
        "spiffe://example.org/x ",
        "spiffe://EXAMPLE.org/x",
        "spiffe://example.org:8443/x",
        "spiffe://example.org:/x",
        "spiffe://example.org:8443@evil.org/x",
        "spiffe://user@example.org/x",
        "spiffe://evil.org/x.example.org:1",
        "spiffe://evil.org/a:b",
        "spiffe://[::1]/x",
        "spiffe://ex%61mple.org/x",
        "spiffe://example.org/%61",
        "spiffe://example.org/a%2fb",
        "spiffe://example.org/",
        "spiffe://example.org/a/",
        "spiffe://example.org//a",
        "spiffe://example.org/a//b",
        "spiffe://example.org/.",
        "spiffe://example.org/..",
        "spiffe://example.org/./a",
        "spiffe://example.org/../a",
        "spiffe://example.org/a/../b",
        "spiffe://example.org/a?q",
        "spiffe://example.org?q",
        "spiffe://example.org/a#f",
        "spiffe://example.org#f",
        "spiffe://example.org/a*",
        "spiffe://example.org/*",
        "spiffe://*/a",
        "spiffe://example.org/a\\b",
        "spiffe://example.org/a+b",
        "spiffe://ex\xc3\xa4mple.org/x",
        "spiffe://example.org/\xc3\xa4",
        "spiffe://example.org/\xff",
        "spiffe://example.org/a\n",
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (parses(refused[i])) {
            fail_msg("accepted: %s", refused[i]);
        }
    }
}

// Every byte value in the trust domain and in the path, against the sets written out.
static void test_every_byte(void **state) {
    (void)state;
    static const char lower[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_";
    static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (int c = 0; c < 256; c++) {
        char name[] = "spiffe://aXa/x";
        char path[] = "spiffe://a/xXx";
        name[10] = path[12] = (char)c;
        bool in_name = c != 0 && strchr(lower, c) != NULL;
        bool in_path = in_name || (c != 0 && strchr(upper, c) != NULL);
        struct spiffe_id id;
        // A slash ends the trust domain, and divides the path.
        assert_int_equal(spiffe_id_parse(&id, span_of(name, 14), NULL), in_name || c == '/');
        assert_int_equal(spiffe_id_parse(&id, span_of(path, 14), NULL), in_path || c == '/');
    }
}

static void test_nul_at_every_offset(void **state) {
    (void)state;
    static const char text[] = "spiffe://example.org/ns/default/sa/web";
    for (size_t i = 0; i < sizeof text; i++) { // the last one is a NUL after the text
        char copy[sizeof text];
        memcpy(copy, text, sizeof text);
        copy[i] = '\0';
        struct spiffe_id id;
        assert_false(spiffe_id_parse(&id, span_of(copy, sizeof copy), NULL));
        if (i < sizeof text - 1) {
            assert_false(spiffe_id_parse(&id, span_of(copy, sizeof copy - 1), NULL));
        }
    }
}

static bool parses_lengths(size_t name_len, size_t total_len) {
    char text[4096];
    memset(text, 'a', sizeof text);
    memcpy(text, "spiffe://", 9);
    if (total_len > 9 + name_len) {
        text[9 + name_len] = '/';
    }
    struct spiffe_id id;
    bool ok = spiffe_id_parse(&id, span_of(text, total_len), NULL);
    if (ok) {
        assert_int_equal(id.len, total_len);
        assert_int_equal(id.trust_domain_len, name_len);
        assert_int_equal(strlen(id.text), total_len);
    }
    return ok;
}

static void test_limits(void **state) {
    (void)state;
    assert_true(parses_lengths(1, 12));
    assert_true(parses_lengths(255, 9 + 255));
    assert_false(parses_lengths(256, 9 + 256));
    assert_true(parses_lengths(255, 9 + 255 + 10));
    assert_false(parses_lengths(256, 9 + 256 + 10));
    assert_true(parses_lengths(10, 2048));
    assert_false(parses_lengths(10, 2049));
    assert_true(parses_lengths(255, 2048));
    assert_false(parses_lengths(255, 2049));
}

static void test_parts(void **state) {
    (void)state;
    struct spiffe_id id;
    struct spiffe_id other;
    assert_true(spiffe_id_parse(&id, span_of_text("spiffe://example.org/a/b"), NULL));
    assert_true(span_equal_text(spiffe_id_trust_domain(&id), "example.org"));
    assert_true(span_equal_text(spiffe_id_path(&id), "/a/b"));
    assert_true(span_equal_text(spiffe_id_text(&id), "spiffe://example.org/a/b"));
    other = id;
    assert_true(spiffe_id_equal(&id, &other));
    assert_true(spiffe_id_parse(&other, span_of_text("spiffe://example.org/a/B"), NULL));
    assert_false(spiffe_id_equal(&id, &other));
    assert_true(spiffe_id_parse(&other, span_of_text("spiffe://example.org"), NULL));
    assert_int_equal(spiffe_id_path(&other).len, 0);
    assert_false(spiffe_id_equal(&id, &other));
}

static void test_output_is_untouched_on_failure(void **state) {
    (void)state;
    struct spiffe_id id;
    struct spiffe_id before;
    assert_true(spiffe_id_parse(&id, span_of_text("spiffe://a/b"), NULL));
    memcpy(&before, &id, sizeof id);
    assert_false(spiffe_id_parse(&id, span_of_text("spiffe://c/d/"), NULL));
    assert_memory_equal(&before, &id, sizeof id);
}

static void test_trust_domain_names(void **state) {
    (void)state;
    assert_true(spiffe_trust_domain_is_valid(span_of_text("example.org")));
    assert_true(spiffe_trust_domain_is_valid(span_of_text("a_b-c.1")));
    assert_false(spiffe_trust_domain_is_valid(span_of_text("")));
    assert_false(spiffe_trust_domain_is_valid(span_of_text("Example.org")));
    assert_false(spiffe_trust_domain_is_valid(span_of_text("example.org/x")));
    assert_false(spiffe_trust_domain_is_valid(span_of_text("spiffe://example.org")));
    assert_false(spiffe_trust_domain_is_valid(span_of("a\0b", 3)));
}

static void test_sentence_says_where(void **state) {
    (void)state;
    struct spiffe_id id;
    struct err err = {0};
    assert_false(spiffe_id_parse(&id, span_of_text("spiffe://example.org/a%2fb"), &err));
    assert_non_null(strstr(err.msg, "0x25"));
    assert_non_null(strstr(err.msg, "offset 22"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_nul_at_every_offset),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_output_is_untouched_on_failure),
        cmocka_unit_test(test_trust_domain_names),
        cmocka_unit_test(test_sentence_says_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
