// What is read off a certificate, and what it is found to be.
#include "certmgr/trust/trust_cert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "tests/testing/pki.h"

static struct trust_cert *parse(const struct pki_cert *cert) {
    struct err err = {0};
    struct trust_cert *out = trust_cert_parse(pki_der(cert), false, &err);
    if (out == NULL) {
        fail_msg("%s", err.msg);
    }
    return out;
}

static unsigned findings_of(const struct pki_options *options) {
    OWNED(pki_free) struct pki_cert *cert = pki_issue(NULL, options);
    OWNED(trust_cert_free) struct trust_cert *parsed = parse(cert);
    return trust_cert_findings(parsed, PKI_NOW);
}

static void the_facts(void **state) {
    (void)state;
    const struct pki_options options = {
        .ca = true,
        .common_name = "Corp, Root \xc3\xa9",
        .dns = {span_of_text("corp.example"), span_of_text("two\nlines.example")},
    };
    OWNED(pki_free) struct pki_cert *cert = pki_issue(NULL, &options);
    OWNED(trust_cert_free) struct trust_cert *parsed = parse(cert);
    assert_true(span_equal(span_of(parsed->der, parsed->der_len), pki_der(cert)));
    assert_string_equal(parsed->subject, "CN=Corp\\, Root \xc3\xa9");
    assert_string_equal(parsed->issuer, parsed->subject);
    assert_string_equal(parsed->common_name, "Corp, Root \xc3\xa9");
    assert_int_equal(parsed->not_before, PKI_NOT_BEFORE);
    assert_int_equal(parsed->not_after, PKI_NOT_AFTER);
    assert_int_equal(parsed->num_dns_names, 2);
    assert_string_equal(parsed->dns_names[0], "corp.example");
    assert_string_equal(parsed->dns_names[1], "two?lines.example");
    assert_int_equal(trust_cert_findings(parsed, PKI_NOW), 0);
}

static void what_it_is_not_fit_for(void **state) {
    (void)state;
    static const struct {
        struct pki_options options;
        unsigned findings;
    } rows[] = {
        {{.ca = true}, 0},
        {{.ca = true, .key = PKI_P384}, 0},
        {{.ca = true, .key = PKI_RSA2048}, 0},
        {{.ca = true, .key = PKI_RSA1024}, TRUST_WEAK},
        {{.ca = true, .digest = PKI_SHA1}, 0}, // nobody checks a root's own signature
        {{.ca = true, .not_after = PKI_NOW - 1}, TRUST_EXPIRED},
        {{.ca = true, .not_after = PKI_NOW}, 0},
        {{.ca = true, .not_before = PKI_NOW + 1}, TRUST_NOT_YET_VALID},
        {{.ca = false}, TRUST_NOT_CA},
        {{.ca = true, .key_usage = "critical,digitalSignature"}, TRUST_NOT_CA},
        {{.ca = true, .key_usage = PKI_ABSENT}, 0},
        {{.ca = true, .version1 = true}, TRUST_NOT_CA},
        {{.ca = true, .common_name = ""}, TRUST_NOT_FOR_JAVA},
        {{.ca = true, .key = PKI_RSA1024, .not_after = PKI_NOW - 1}, TRUST_WEAK | TRUST_EXPIRED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned found = findings_of(&rows[i].options);
        if (found != rows[i].findings) {
            fail_msg("row %zu: %u instead of %u", i, found, rows[i].findings);
        }
    }
    OWNED(pki_free) struct pki_cert *root = pki_ca();
    const struct pki_options sha1 = {.ca = true, .digest = PKI_SHA1};
    OWNED(pki_free) struct pki_cert *below = pki_issue(root, &sha1);
    OWNED(trust_cert_free) struct trust_cert *parsed = parse(below);
    assert_int_equal(trust_cert_findings(parsed, PKI_NOW), TRUST_WEAK);
}

static void when_that_changes(void **state) {
    (void)state;
    const struct pki_options options = {
        .ca = true, .not_before = PKI_NOW, .not_after = PKI_NOW + 100};
    OWNED(pki_free) struct pki_cert *cert = pki_issue(NULL, &options);
    OWNED(trust_cert_free) struct trust_cert *parsed = parse(cert);
    assert_int_equal(trust_cert_next_change(parsed, PKI_NOW - 5), PKI_NOW);
    int64_t end = trust_cert_next_change(parsed, PKI_NOW);
    assert_int_equal(trust_cert_findings(parsed, end - 1), 0);
    assert_int_equal(trust_cert_findings(parsed, end), TRUST_EXPIRED);
    assert_true(trust_cert_next_change(parsed, end) == INT64_MAX);
}

static void expect_refused(struct span der, const char *sentence) {
    struct err err = {0};
    assert_null(trust_cert_parse(der, false, &err));
    if (strstr(err.msg, sentence) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.msg, sentence);
    }
}

static void what_is_refused(void **state) {
    (void)state;
    OWNED(pki_free) struct pki_cert *cert = pki_ca();
    struct span der = pki_der(cert);
    expect_refused(span_of(NULL, 0), "not a well-formed X.509 certificate");
    expect_refused(span_of(der.ptr, der.len - 1), "not a well-formed X.509 certificate");
    expect_refused(span_of_text("hello"), "not a well-formed X.509 certificate");
    const struct pki_options twice = {.ca = true,
                                      .san_der = span_of_text("\x30\x03\x82\x01x"),
                                      .second_san_der = span_of_text("\x30\x03\x82\x01x")};
    OWNED(pki_free) struct pki_cert *two_sans = pki_issue(NULL, &twice);
    expect_refused(pki_der(two_sans), "");
    const struct pki_options damaged = {.ca = true, .san_der = span_of_text("\x30\x03zz")};
    OWNED(pki_free) struct pki_cert *bad_san = pki_issue(NULL, &damaged);
    expect_refused(pki_der(bad_san), "not a well-formed X.509 certificate");
}

static void what_follows_is_dropped_only_where_it_may(void **state) {
    (void)state;
    OWNED(pki_free) struct pki_cert *cert = pki_ca();
    struct buf trusted = {0};
    struct err err = {0};
    assert_true(buf_append(&trusted, pki_der(cert).ptr, pki_der(cert).len));
    assert_true(buf_append(&trusted, "\x30\x02\x0c\x00", 4));
    assert_null(trust_cert_parse(buf_span(&trusted), false, &err));
    OWNED(trust_cert_free)
    struct trust_cert *parsed = trust_cert_parse(buf_span(&trusted), true, &err);
    assert_non_null(parsed);
    assert_true(span_equal(span_of(parsed->der, parsed->der_len), pki_der(cert)));
    buf_fini(&trusted);
}

static void names_of_findings(void **state) {
    (void)state;
    assert_string_equal(trust_cert_finding_name(TRUST_EXPIRED), "expired");
    assert_string_equal(trust_cert_finding_name(TRUST_NOT_FOR_JAVA), "notForJava");
    assert_string_equal(trust_cert_finding_sentence(TRUST_NOT_YET_VALID), "it is not valid yet");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_facts),
        cmocka_unit_test(what_it_is_not_fit_for),
        cmocka_unit_test(when_that_changes),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(what_follows_is_dropped_only_where_it_may),
        cmocka_unit_test(names_of_findings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
