// Requests, compared with what `openssl ocsp` makes; where a certificate says that responders are.
#include "certmgr/ocsp_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "tests/certmgr/ocsp_case.h"
#include "tests/testing/pki.h"

#define CORPUS "tests/fuzz/corpus/ocsp_response/"

// openssl ocsp -issuer ISSUER -cert LEAF -no_nonce -reqout FILE, with those of CORPUS good
static const uint8_t OF_OPENSSL[] = {
    0x30, 0x44, 0x30, 0x42, 0x30, 0x40, 0x30, 0x3e, 0x30, 0x3c, 0x30, 0x09, 0x06, 0x05,
    0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14, 0x11, 0x04, 0x8c, 0xd2, 0x0c,
    0xb3, 0x59, 0x23, 0x07, 0xd0, 0x19, 0xfd, 0x08, 0x89, 0x56, 0x2b, 0x62, 0xd3, 0x64,
    0x92, 0x04, 0x14, 0xbd, 0x99, 0xde, 0xf8, 0xca, 0x71, 0x66, 0x1f, 0x42, 0xcc, 0xa4,
    0xb3, 0x0a, 0x38, 0x83, 0x21, 0x09, 0x40, 0x57, 0x41, 0x02, 0x03, 0x00, 0x81, 0x01};

static void read_pair(const char *path, X509 **leaf, X509 **issuer) {
    struct buf bytes = {0};
    struct ocsp_case made;
    assert_true(file_read(path, 65536, &bytes, NULL));
    assert_true(ocsp_case_parse(&made, buf_span(&bytes)));
    *leaf = made.leaf;
    *issuer = made.issuer;
    buf_fini(&bytes);
}

static void test_request(void **state) {
    (void)state;
    X509 *leaf OWNED(X509_free) = NULL;
    X509 *issuer OWNED(X509_free) = NULL;
    struct buf out = {0};
    struct err err = {0};
    read_pair(CORPUS "good", &leaf, &issuer);
    assert_true(ocsp_request_render(leaf, issuer, &out, &err));
    assert_int_equal(out.len, sizeof(OF_OPENSSL));
    assert_memory_equal(buf_span(&out).ptr, OF_OPENSSL, sizeof(OF_OPENSSL));
    assert_false(ocsp_request_render(leaf, leaf, &out, &err));
    assert_non_null(strstr(err.msg, "has not issued the first"));
    assert_int_equal(out.len, sizeof(OF_OPENSSL));
    buf_fini(&out);
}

static void test_responder_of_openssl(void **state) {
    (void)state;
    X509 *leaf OWNED(X509_free) = NULL;
    X509 *issuer OWNED(X509_free) = NULL;
    read_pair(CORPUS "by_key", &leaf, &issuer); // caIssuers and an https:// URL come before it
    char *url = ocsp_request_responder(leaf);
    assert_string_equal(url, "http://ocsp.x:8080/q");
    free(url);
    assert_null(ocsp_request_responder(issuer));
}

// The certificate with an authorityInfoAccess of these bytes.
static char *responder_of(const char *bytes, size_t len) {
    OWNED(pki_free) struct pki_cert *ca = pki_ca();
    X509 *cert OWNED(X509_free) = X509_dup(pki_x509(ca));
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    assert_true(ASN1_OCTET_STRING_set(value, (const uint8_t *)bytes, (int)len));
    X509_EXTENSION *extension = X509_EXTENSION_create_by_NID(NULL, NID_info_access, 0, value);
    assert_true(extension != NULL && X509_add_ext(cert, extension, -1));
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    return ocsp_request_responder(cert);
}

#define OCSP_METHOD "\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x01"
static void test_responder(void **state) {
    (void)state;
    static const char GOOD[] = "\x30\x18\x30\x16" OCSP_METHOD "\x86\x0ahttp://o.x";
    static const char OTHER_METHOD[] =
        "\x30\x18\x30\x16\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x02\x86\x0ahttp://o.x";
    static const char OTHER_NAME[] = "\x30\x18\x30\x16" OCSP_METHOD "\x82\x0ahttp://o.x";
    static const char ZERO[] = "\x30\x18\x30\x16" OCSP_METHOD "\x86\x0ahttp://\0.x";
    static const char MORE[] = "\x30\x18\x30\x16" OCSP_METHOD "\x86\x0ahttp://o.x!";
    char *url = responder_of(GOOD, sizeof(GOOD) - 1);
    assert_string_equal(url, "http://o.x");
    free(url);
    for (size_t len = 0; len < sizeof(GOOD) - 1; len++) {
        assert_null(responder_of(GOOD, len));
    }
    assert_null(responder_of(OTHER_METHOD, sizeof(OTHER_METHOD) - 1));
    assert_null(responder_of(OTHER_NAME, sizeof(OTHER_NAME) - 1));
    assert_null(responder_of(ZERO, sizeof(ZERO) - 1));
    assert_null(responder_of(MORE, sizeof(MORE) - 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_responder_of_openssl),
        cmocka_unit_test(test_responder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
