// Responses that `openssl ocsp` made: each file of the corpus is a certificate, its issuer and a
// response.
#include "certmgr/ocsp_response.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "tests/certmgr/ocsp_case.h"

#define TEN_YEARS (INT64_C(3650) * 86400)

struct made {
    struct buf bytes;
    struct ocsp_case of; // borrows of `bytes`
};

static struct made read_made(const char *name) {
    struct made made = {0};
    char path[128];
    snprintf(path, sizeof(path), "tests/fuzz/corpus/ocsp_response/%s", name);
    assert_true(file_read(path, OCSP_RESPONSE_MAX, &made.bytes, NULL));
    assert_true(ocsp_case_parse(&made.of, buf_span(&made.bytes)));
    return made;
}

static void made_fini(struct made *made) {
    ocsp_case_fini(&made->of);
    buf_fini(&made->bytes);
}

static void expect(const char *name, enum ocsp_status status) {
    struct made made = read_made(name);
    struct ocsp_response out;
    struct err err = {0};
    if (!ocsp_response_read(made.of.response, made.of.leaf, made.of.issuer, &out, &err)) {
        fail_msg("%s: %s", name, err.msg);
    }
    assert_int_equal(out.status, status);
    assert_int_equal(out.next_update - out.this_update, TEN_YEARS);
    made_fini(&made);
}

static void expect_refused(const char *name, const char *sentence) {
    struct made made = read_made(name);
    struct ocsp_response out;
    struct err err = {0};
    assert_false(ocsp_response_read(made.of.response, made.of.leaf, made.of.issuer, &out, &err));
    if (strstr(err.msg, sentence) == NULL) {
        fail_msg("%s: %s", name, err.msg);
    }
    made_fini(&made);
}

static void test_what_it_says(void **state) {
    (void)state;
    expect("good", OCSP_GOOD);
    expect("good_sha256", OCSP_GOOD);
    expect("delegated", OCSP_GOOD);
    expect("revoked", OCSP_REVOKED);
    expect("unknown", OCSP_UNKNOWN);
    expect("by_key", OCSP_GOOD);
}

static void test_refused(void **state) {
    (void)state;
    expect_refused("not_for_ocsp", "not signed by the certificate's issuer");
    expect_refused("foreign_signer", "not signed by the certificate's issuer");
    // signed with the issuer's key, but it says that it comes from another name
    expect_refused("other_responder", "not signed by the certificate's issuer");
    expect_refused("other_certificate", "about another certificate");
    expect_refused("try_later", "refused to answer (status 3)");
}

static void test_not_the_issuer(void **state) {
    (void)state;
    struct made made = read_made("good");
    struct ocsp_response out;
    struct err err = {0};
    assert_false(ocsp_response_read(made.of.response, made.of.leaf, made.of.leaf, &out, &err));
    assert_non_null(strstr(err.msg, "has not issued the first"));
    made_fini(&made);
}

// Of a response of the issuer itself no byte before its certificates can change unseen, and no part
// of it is taken for the whole.
static void test_each_byte_counts(void **state) {
    (void)state;
    struct made made = read_made("good");
    struct ocsp_response out;
    uint8_t copy[2048];
    assert_true(made.of.response.len < sizeof(copy));
    for (size_t len = 0; len < made.of.response.len; len++) {
        assert_false(ocsp_response_read(span_of(made.of.response.ptr, len), made.of.leaf,
                                        made.of.issuer, &out, NULL));
    }
    size_t num_signed = 200; // well into ResponseData and its signature, before the certificates
    for (size_t i = 0; i < num_signed; i++) {
        memcpy(copy, made.of.response.ptr, made.of.response.len);
        copy[i] ^= 0x01;
        assert_false(ocsp_response_read(span_of(copy, made.of.response.len), made.of.leaf,
                                        made.of.issuer, &out, NULL));
    }
    made_fini(&made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_it_says),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_not_the_issuer),
        cmocka_unit_test(test_each_byte_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
