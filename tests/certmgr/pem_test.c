// What people keep in files: several blocks, comments, CRLF, every form of key; and what is not
// taken, with the sentence that says so.
#include "certmgr/pem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/bytestring.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/rsa.h>

#include "tests/testing/pki.h"

static void append(struct buf *out, const char *text) {
    assert_true(buf_append_text(out, text));
}

static void append_pem(struct buf *out, const char *label, struct span der) {
    assert_true(pem_render(label, der, out));
}

static void expect_certificates(struct buf *input, struct span wanted) {
    struct buf out = {0};
    struct err err = {0};
    if (!pem_parse_certificates(buf_span(input), "f", &out, &err)) {
        fail_msg("%s", err.msg);
    }
    assert_true(span_equal(buf_span(&out), wanted));
    buf_fini(&out);
    buf_fini(input);
}

// Takes the input.
static void expect_refused(struct buf *input, const char *sentence) {
    struct buf out = {0};
    struct err err = {0};
    append(&out, "before");
    assert_false(pem_parse_certificates(buf_span(input), "f", &out, &err));
    assert_true(span_equal_text(buf_span(&out), "before"));
    if (strstr(err.msg, sentence) == NULL || strncmp(err.msg, "f: ", 3) != 0) {
        fail_msg("\"%s\" does not begin with \"f: \" and hold \"%s\"", err.msg, sentence);
    }
    buf_fini(&out);
    buf_fini(input);
}

static void several_certificates_in_one_file(void **state) {
    const struct pki_cert *const *certs = *state;
    OWNED(pki_bytes_free) struct pki_bytes *both = pki_concat(certs, 2);
    struct buf input = {0};
    append(&input, "\xef\xbb\xbfsubject: /CN=one\n\n# -----BEGIN CERTIFICATE----- is a comment\n");
    append_pem(&input, "CERTIFICATE", pki_der(certs[0]));
    append(&input, "some text -----END CERTIFICATE-----\n");
    append_pem(&input, "EC PARAMETERS", pki_der(certs[0]));
    append_pem(&input, "X509 CERTIFICATE", pki_der(certs[1]));
    append(&input, "no newline at the end");
    expect_certificates(&input, pki_span(both));
}

// Another line end, or another line length, is the same certificate.
static void line_ends_and_lengths(void **state) {
    const struct pki_cert *const *certs = *state;
    static const struct {
        const char *end;
        size_t len;
    } forms[] = {{"\r\n", 64}, {"\r", 64}, {"\n", 76}, {"\n", 1}, {"  \n", 3000}, {"\n\n", 13}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct buf pem = {0};
        struct buf input = {0};
        append_pem(&pem, "X", pki_der(certs[0]));
        char *text = buf_take_text(&pem);
        assert_non_null(text);
        char *packed = text;
        for (char *at = text + strlen("-----BEGIN X-----"); strncmp(at, "\n-----END", 9) != 0;
             at++) {
            if (*at != '\n') {
                *packed++ = *at;
            }
        }
        append(&input, "-----BEGIN CERTIFICATE-----");
        append(&input, forms[i].end);
        for (const char *at = text; at < packed; at += forms[i].len) {
            size_t rest = (size_t)(packed - at);
            assert_true(buf_append(&input, at, rest < forms[i].len ? rest : forms[i].len));
            append(&input, forms[i].end);
        }
        append(&input, "-----END CERTIFICATE-----");
        append(&input, forms[i].end);
        free(text);
        expect_certificates(&input, pki_der(certs[0]));
    }
}

static void der_is_taken_as_it_is(void **state) {
    const struct pki_cert *const *certs = *state;
    OWNED(pki_bytes_free) struct pki_bytes *both = pki_concat(certs, 2);
    struct buf input = {0};
    assert_true(buf_append(&input, both->ptr, both->len));
    expect_certificates(&input, pki_span(both));
    assert_true(buf_append(&input, both->ptr, both->len - 1));
    expect_refused(&input, "no complete DER sequence");
    assert_true(buf_append(&input, both->ptr, both->len));
    append(&input, "x");
    expect_refused(&input, "no complete DER sequence");
}

// A file that is being written ends anywhere: no such beginning may pass for the whole.
static void half_written_files_are_refused(void **state) {
    const struct pki_cert *const *certs = *state;
    struct buf whole = {0};
    append_pem(&whole, "CERTIFICATE", pki_der(certs[0]));
    size_t one = whole.len;
    append_pem(&whole, "CERTIFICATE", pki_der(certs[1]));
    struct span all = buf_span(&whole);
    static const size_t begin = sizeof "-----BEGIN ";
    for (size_t len = 0; len < all.len - 1; len++) { // the last newline may be missing
        struct buf out = {0};
        struct err err = {0};
        bool ok = pem_parse_certificates(span_of(all.ptr, len), "f", &out, &err);
        // Up to the word BEGIN of the second block the first one is all there is to see.
        bool looks_whole = len + 1 >= one && len < one + begin - 1;
        if (ok != looks_whole) {
            fail_msg("%zu of %zu bytes: %s", len, all.len, ok ? "taken" : err.msg);
        }
        buf_fini(&out);
    }
    buf_fini(&whole);
}

static void bad_blocks(void **state) {
    const struct pki_cert *const *certs = *state;
    static const struct {
        const char *text;
        const char *sentence;
    } rows[] = {
        {"", "is empty"},
        {"hello", "holds no certificate"},
        {"-----BEGIN CERTIFICATE", "damaged BEGIN line"},
        {"-----BEGIN CERTIFICATE\n-----\n", "damaged BEGIN line"},
        {"-----BEGIN -----\nAAAA\n-----END -----\n", "damaged BEGIN line"},
        {"-----BEGIN CERTIFICATE----- x\nAAAA\n-----END CERTIFICATE-----\n", "damaged BEGIN line"},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERT-----\n", "not complete"},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----BEGIN CERTIFICATE-----\n", "not complete"},
        {"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "not base64"},
        {"-----BEGIN CERTIFICATE-----\nA&AA\n-----END CERTIFICATE-----\n", "not base64"},
        {"-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n", "not base64"},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
         "certificate 1: not a well-formed X.509 certificate (3 bytes)"},
        {"-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END CERTIFICATE-----\n",
         "encrypted"},
        {"-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n",
         "holds no certificate"},
        {"0\x82\xff\xff", "no complete DER sequence"},
        {"0\x03\x02\x01\x05", "certificate 1: not a well-formed X.509 certificate"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf input = {0};
        append(&input, rows[i].text);
        expect_refused(&input, rows[i].sentence);
    }
    struct buf input = {0}; // a good one before it does not help
    append_pem(&input, "CERTIFICATE", pki_der(certs[0]));
    append(&input, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    expect_refused(&input, "certificate 2: not a well-formed");
    append_pem(&input, "CERTIFICATE", span_of("0\x03\x02\x01\x05trailing", 13));
    expect_refused(&input, "certificate 1: not a well-formed");
}

static void sizes_are_bounded(void **state) {
    (void)state;
    struct buf input = {0};
    for (size_t i = 0; i < PEM_INPUT_MAX / 1024 + 1; i++) {
        char block[1024];
        memset(block, 'a', sizeof block);
        assert_true(buf_append(&input, block, sizeof block));
    }
    expect_refused(&input, "is larger than 1048576 bytes");
    for (size_t i = 0; i <= PEM_BLOCKS_MAX; i++) {
        append_pem(&input, "ANYTHING", span_of("x", 1));
    }
    expect_refused(&input, "more than 512");
}

static void crls(void **state) {
    const struct pki_cert *const *certs = *state;
    OWNED(pki_bytes_free)
    struct pki_bytes *crl = pki_crl(certs[1], certs[0], PKI_NOT_BEFORE, PKI_NOT_AFTER);
    struct buf input = {0};
    struct buf out = {0};
    struct err err = {0};
    append_pem(&input, "X509 CRL", pki_span(crl));
    append_pem(&input, "CERTIFICATE", pki_der(certs[0]));
    assert_true(pem_parse_crls(buf_span(&input), "f", &out, &err));
    assert_true(span_equal(buf_span(&out), pki_span(crl)));
    buf_clear(&out);
    assert_true(pem_parse_crls(pki_span(crl), "f", &out, &err));
    assert_true(span_equal(buf_span(&out), pki_span(crl)));
    buf_clear(&out);
    assert_false(pem_parse_crls(pki_der(certs[0]), "f", &out, &err));
    assert_string_equal(err.msg + strlen(err.msg) - 6, "bytes)");
    buf_clear(&input);
    append_pem(&input, "CERTIFICATE", pki_der(certs[0]));
    assert_false(pem_parse_crls(buf_span(&input), "f", &out, &err));
    assert_string_equal(err.msg, "f: holds no CRL");
    buf_fini(&input);
    buf_fini(&out);
}

// --- keys ---

struct forms { // of one key
    uint8_t *old;
    size_t old_len;
    const char *label; // of the old form
};

static struct forms old_form(EVP_PKEY *key) {
    struct forms forms = {0};
    CBB cbb;
    assert_true(CBB_init(&cbb, 0));
    if (EVP_PKEY_id(key) == EVP_PKEY_RSA) {
        forms.label = "RSA PRIVATE KEY";
        assert_true(RSA_marshal_private_key(&cbb, EVP_PKEY_get0_RSA(key)));
    } else {
        forms.label = "EC PRIVATE KEY";
        assert_true(EC_KEY_marshal_private_key(&cbb, EVP_PKEY_get0_EC_KEY(key), 0));
    }
    assert_true(CBB_finish(&cbb, &forms.old, &forms.old_len));
    return forms;
}

static void expect_key(struct span input, struct span pkcs8) {
    struct buf out = {0};
    struct err err = {0};
    if (!pem_parse_key(input, "k", &out, &err)) {
        fail_msg("%s", err.msg);
    }
    CBS a;
    CBS b;
    CBS_init(&a, buf_span(&out).ptr, out.len);
    CBS_init(&b, pkcs8.ptr, pkcs8.len);
    EVP_PKEY *got = EVP_parse_private_key(&a);
    EVP_PKEY *wanted = EVP_parse_private_key(&b);
    assert_int_equal(EVP_PKEY_cmp(got, wanted), 1);
    EVP_PKEY_free(got);
    EVP_PKEY_free(wanted);
    assert_int_equal(CBS_len(&a), 0);
    buf_clear_secret(&out);
}

static void every_form_of_key(void **state) {
    (void)state;
    static const enum pki_key kinds[] = {PKI_P256, PKI_P384, PKI_RSA2048};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct pki_options options = {.key = kinds[i]};
        OWNED(pki_free) struct pki_cert *cert = pki_issue(NULL, &options);
        struct forms forms = old_form(pki_key(cert));
        struct span old = span_of(forms.old, forms.old_len);
        struct buf pem = {0};
        expect_key(pki_key_der(cert), pki_key_der(cert));
        expect_key(old, pki_key_der(cert));
        append_pem(&pem, "PRIVATE KEY", pki_key_der(cert));
        expect_key(buf_span(&pem), pki_key_der(cert));
        buf_clear(&pem);
        append_pem(&pem, "CERTIFICATE", pki_der(cert)); // all in one file
        append_pem(&pem, "EC PARAMETERS", span_of("\x06\x01\x01", 3));
        append_pem(&pem, forms.label, old);
        expect_key(buf_span(&pem), pki_key_der(cert));
        buf_clear(&pem);
        OPENSSL_free(forms.old);
    }
}

static void expect_no_key(struct buf *input, const char *sentence) {
    struct buf out = {0};
    struct err err = {0};
    assert_false(pem_parse_key(buf_span(input), "k", &out, &err));
    assert_int_equal(out.len, 0);
    if (strcmp(err.msg, sentence) != 0) {
        fail_msg("\"%s\" and not \"%s\"", err.msg, sentence);
    }
    buf_clear(input);
}

static void what_is_no_key(void **state) {
    const struct pki_cert *const *certs = *state;
    struct buf input = {0};
    expect_no_key(&input, "k: is empty");
    append(&input, "-----BEGIN");
    expect_no_key(&input, "k: holds no private key");
    append_pem(&input, "CERTIFICATE", pki_der(certs[0]));
    expect_no_key(&input, "k: holds no private key");
    append_pem(&input, "PRIVATE KEY", pki_key_der(certs[0]));
    append_pem(&input, "PRIVATE KEY", pki_key_der(certs[1]));
    expect_no_key(&input, "k: holds several private keys");
    append_pem(&input, "EC PRIVATE KEY", pki_key_der(certs[0]));
    expect_no_key(&input, "k: holds a SEC1 private key that does not parse");
    append_pem(&input, "RSA PRIVATE KEY", pki_key_der(certs[0]));
    expect_no_key(&input, "k: holds a PKCS#1 private key that does not parse");
    append_pem(&input, "PRIVATE KEY", span_of(pki_key_der(certs[0]).ptr, 40));
    expect_no_key(&input, "k: holds a PKCS#8 private key that does not parse");
    append_pem(&input, "ENCRYPTED PRIVATE KEY", span_of("x", 1));
    expect_no_key(&input, "k: holds an encrypted key, which is not supported; decrypt it first");
    append(&input,
           "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: A,B\n\nAA==\n"
           "-----END RSA PRIVATE KEY-----\n");
    expect_no_key(&input, "k: has a PEM block with headers: an encrypted key is not supported; "
                          "decrypt it first");
    assert_true(buf_append(&input, pki_der(certs[0]).ptr, pki_der(certs[0]).len));
    expect_no_key(&input, "k: is DER, but no private key (PKCS#8, SEC1 or PKCS#1)");
    assert_true(buf_append(&input, pki_key_der(certs[0]).ptr, pki_key_der(certs[0]).len));
    append(&input, "x"); // trailing bytes
    expect_no_key(&input, "k: is DER, but no private key (PKCS#8, SEC1 or PKCS#1)");
}

static void rendering_reads_back(void **state) {
    (void)state;
    for (size_t len = 1; len < 200; len++) {
        uint8_t bytes[200] = {0x30};
        struct buf pem = {0};
        append_pem(&pem, "CERTIFICATE", span_of(bytes, len));
        char *text = buf_take_text(&pem);
        assert_non_null(text);
        assert_memory_equal(text, "-----BEGIN CERTIFICATE-----\n", 28);
        for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
            assert_true(strlen(line) <= 64 && strlen(line) > 0);
        }
        free(text);
    }
}

static int set_up(void **state) {
    static struct pki_cert *certs[2];
    certs[1] = pki_ca();
    certs[0] = pki_leaf(certs[1], "spiffe://example.org/web");
    *state = certs;
    return 0;
}

static int tear_down(void **state) {
    struct pki_cert **certs = *state;
    pki_free(certs[0]);
    pki_free(certs[1]);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_certificates_in_one_file),
        cmocka_unit_test(line_ends_and_lengths),
        cmocka_unit_test(der_is_taken_as_it_is),
        cmocka_unit_test(half_written_files_are_refused),
        cmocka_unit_test(bad_blocks),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(crls),
        cmocka_unit_test(every_form_of_key),
        cmocka_unit_test(what_is_no_key),
        cmocka_unit_test(rendering_reads_back),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
