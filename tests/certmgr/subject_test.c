#include "certmgr/subject.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <openssl/x509.h>

#include "tests/testing/pki.h"

struct part {
    const char *type, *value;
};

static X509 *subject_of(const struct part *parts) {
    X509 *cert = X509_new();
    for (; parts->type != NULL; parts++) {
        assert_true(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), parts->type,
                                               MBSTRING_UTF8, (const uint8_t *)parts->value, -1, -1,
                                               0));
    }
    return cert;
}

static const struct part FULL[] = {{"C", "US"},   {"ST", "CA"},  {"L", "SF"},     {"O", "Acme"},
                                   {"OU", "eng"}, {"OU", "sre"}, {"CN", "svc-a"}, {NULL, NULL}};

static bool matches(const struct part *parts, const struct subject_rule *rule) {
    X509 *cert = subject_of(parts);
    bool result = subject_matches(cert, rule);
    X509_free(cert);
    return result;
}

static void test_format(void **state) {
    (void)state;
    X509 *cert = subject_of(FULL);
    char text[SUBJECT_TEXT_MAX];
    subject_format(cert, text, sizeof(text));
    assert_string_equal(text, "CN=svc-a,OU=sre,OU=eng,O=Acme,L=SF,ST=CA,C=US");
    subject_format(cert, text, 4);
    assert_string_equal(text, "CN=");
    X509_free(cert);
}

static void expect_common_name(const struct part *parts, size_t cap, const char *expected) {
    X509 *cert = subject_of(parts);
    char text[SUBJECT_TEXT_MAX] = "before";
    subject_common_name(cert, text, cap);
    assert_string_equal(text, expected);
    X509_free(cert);
}

// What an application is told is what was signed, or nothing.
static void test_common_name(void **state) {
    (void)state;
    static const struct part none[] = {{"O", "Acme"}, {NULL, NULL}};
    static const struct part two[] = {{"CN", "svc-a"}, {"CN", "root"}, {NULL, NULL}};
    expect_common_name(FULL, SUBJECT_TEXT_MAX, "svc-a");
    expect_common_name(FULL, 6, "svc-a");
    expect_common_name(FULL, 5, ""); // not a part of it
    expect_common_name(none, SUBJECT_TEXT_MAX, "");
    expect_common_name(two, SUBJECT_TEXT_MAX, "");
    X509 *cert = X509_new();
    char text[SUBJECT_TEXT_MAX] = "before";
    assert_true(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                                           (const uint8_t *)"root\0.svc-a", 11, -1, 0));
    subject_common_name(cert, text, sizeof(text));
    assert_string_equal(text, "");
    X509_free(cert);
}

static void test_full_subject(void **state) {
    (void)state;
    char *ous[] = {"sre", "eng"};
    char *other[] = {"eng", "ops"};
    struct subject_rule rule = {
        .cn = "svc-a", .o = "Acme", .l = "SF", .st = "CA", .c = "US", .ou = ous, .num_ou = 2};
    assert_true(matches(FULL, &rule)); // in any order
    struct subject_rule wrong = rule;
    wrong.o = "Acme Inc";
    assert_false(matches(FULL, &wrong));
    wrong = rule;
    wrong.cn = "SVC-A"; // with case
    assert_false(matches(FULL, &wrong));
    wrong = rule;
    wrong.l = NULL; // omitted: must be absent
    assert_false(matches(FULL, &wrong));
    wrong = rule;
    wrong.num_ou = 1; // one that is not listed
    assert_false(matches(FULL, &wrong));
    wrong = rule;
    wrong.ou = other; // one that is not there
    assert_false(matches(FULL, &wrong));
    static const struct part twice[] = {{"CN", "svc-a"}, {"CN", "svc-a"}, {NULL, NULL}};
    struct subject_rule only = {.cn = "svc-a"};
    assert_false(matches(twice, &only));
    static const struct part once[] = {{"CN", "svc-a"}, {NULL, NULL}};
    assert_true(matches(once, &only));
}

static void test_name(void **state) {
    (void)state;
    struct pki_options options = {.common_name = "svc-a",
                                  .dns = {span_of("svc-a.local", 11), span_of("a\0b", 3)}};
    OWNED(pki_free) struct pki_cert *cert = pki_issue(NULL, &options);
    assert_true(subject_has_name(pki_x509(cert), "svc-a"));
    assert_true(subject_has_name(pki_x509(cert), "svc-a.local"));
    assert_false(subject_has_name(pki_x509(cert), "svc-A"));
    assert_false(subject_has_name(pki_x509(cert), "a")); // the NUL does not end a name
    assert_false(subject_has_name(pki_x509(cert), "zzz"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_common_name),
        cmocka_unit_test(test_full_subject),
        cmocka_unit_test(test_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
