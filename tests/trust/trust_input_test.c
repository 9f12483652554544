// What users' files look like, and that one bad block never sinks the others.
#include "certmgr/trust/trust_input.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "certmgr/pem.h"
#include "tests/testing/pki.h"

#define SEEN_MAX 64

struct seen {
    size_t num_certificates;
    uint8_t sha256[SEEN_MAX][TRUST_CERT_SHA256_LEN];
    struct buf problems; // lines
    size_t num_problems;
    size_t stop_after; // certificates; 0: never
};

static bool on_certificate(void *arg, struct trust_cert *cert, size_t index) {
    struct seen *seen = arg;
    assert_int_equal(index, seen->num_certificates);
    assert_true(index < SEEN_MAX);
    memcpy(seen->sha256[index], cert->sha256, TRUST_CERT_SHA256_LEN);
    trust_cert_free(cert);
    return ++seen->num_certificates != seen->stop_after;
}

static bool on_problem(void *arg, const char *sentence) {
    struct seen *seen = arg;
    seen->num_problems++;
    return buf_printf(&seen->problems, "%s\n", sentence);
}

static void read(struct seen *seen, struct span input) {
    const struct trust_input_sink sink = {
        .arg = seen, .certificate = on_certificate, .problem = on_problem};
    assert_true(trust_input_parse(input, &sink));
}

// Takes the input.
static void expect(struct buf *input, size_t num_certificates, const char *problems) {
    struct seen seen = {0};
    read(&seen, buf_span(input));
    assert_true(buf_append(&seen.problems, "", 1));
    const char *said = (const char *)buf_span(&seen.problems).ptr;
    if (seen.num_certificates != num_certificates || strcmp(said, problems) != 0) {
        fail_msg("%zu certificates instead of %zu, and\n%sinstead of\n%s", seen.num_certificates,
                 num_certificates, said, problems);
    }
    buf_fini(&seen.problems);
    buf_fini(input);
}

static void add(struct buf *out, const char *text) {
    assert_true(buf_append_text(out, text));
}

static void add_pem(struct buf *out, const char *label, struct span der) {
    assert_true(pem_render(label, der, out));
}

static void a_file_of_many_kinds(void **state) {
    const struct pki_cert *const *certs = *state;
    struct buf input = {0};
    add(&input, "\xef\xbb\xbf# our CAs\nsubject=CN = one\n");
    add_pem(&input, "CERTIFICATE", pki_der(certs[0]));
    add(&input, "\n\n");
    add_pem(&input, "X509 CERTIFICATE", pki_der(certs[1]));
    expect(&input, 2, "");
}

static void crlf(void **state) {
    const struct pki_cert *const *certs = *state;
    struct buf unix_text = {0}, input = {0};
    add_pem(&unix_text, "CERTIFICATE", pki_der(certs[0]));
    for (size_t i = 0; i < unix_text.len; i++) {
        const char c = (char)buf_span(&unix_text).ptr[i];
        assert_true(c == '\n' ? buf_append(&input, "\r\n", 2) : buf_append(&input, &c, 1));
    }
    buf_fini(&unix_text);
    expect(&input, 1, "");
}

static void trusted_certificates_lose_their_settings(void **state) {
    const struct pki_cert *const *certs = *state;
    struct buf trusted = {0}, input = {0};
    assert_true(buf_append(&trusted, pki_der(certs[0]).ptr, pki_der(certs[0]).len));
    assert_true(buf_append(&trusted, "\x30\x02\x0c\x00", 4));
    add_pem(&input, "TRUSTED CERTIFICATE", buf_span(&trusted));
    expect(&input, 1, "");
    add_pem(&input, "CERTIFICATE", buf_span(&trusted));
    struct seen seen = {0};
    read(&seen, buf_span(&input));
    assert_int_equal(seen.num_certificates, 0);
    assert_int_equal(seen.num_problems, 1);
    buf_fini(&seen.problems);
    buf_fini(&input);
    buf_fini(&trusted);
}

static void der(void **state) {
    const struct pki_cert *const *certs = *state;
    struct buf input = {0};
    assert_true(buf_append(&input, pki_der(certs[0]).ptr, pki_der(certs[0]).len));
    expect(&input, 1, "");
    assert_true(buf_append(&input, pki_der(certs[0]).ptr, pki_der(certs[0]).len));
    assert_true(buf_append(&input, pki_der(certs[1]).ptr, pki_der(certs[1]).len));
    assert_true(buf_append(&input, "\x30\x82", 2));
    expect(&input, 2, "certificate 3: no complete DER sequence in the last 2 bytes\n");
}

static void the_broken_block_is_named_and_the_rest_is_taken(void **state) {
    const struct pki_cert *const *certs = *state;
    struct buf input = {0};
    add(&input, "-----BEGIN CERTIFICATE-----\nMIIB\n"); // cut off
    add_pem(&input, "CERTIFICATE", pki_der(certs[0]));
    add(&input, "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n");
    add(&input, "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n");
    add(&input, "-----BEGIN CERTIFICATE----\nMAMCAQE=\n");
    add_pem(&input, "CERTIFICATE", pki_der(certs[1]));
    add(&input, "-----BEGIN CERTIFICATE-----\n");
    expect(&input, 2,
           "block 1: the file has a PEM block that is not complete (half-written?)\n"
           "block 3: it has a PEM block that is not base64\n"
           "block 4: not a well-formed X.509 certificate (5 bytes)\n"
           "block 5: the file has a damaged BEGIN line\n"
           "block 7: the file has a PEM block that is not complete (half-written?)\n");
}

static void what_is_no_certificate(void **state) {
    const struct pki_cert *const *certs = *state;
    struct buf input = {0};
    add_pem(&input, "PRIVATE KEY", pki_key_der(certs[0]));
    add(&input, "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n"
                "-----END RSA PRIVATE KEY-----\n");
    add_pem(&input, "X509 CRL", span_of_text("abc"));
    add_pem(&input, "CERTIFICATE", pki_der(certs[0]));
    expect(&input, 1,
           "block 1 is a PRIVATE KEY: it was not copied, but it does not belong in a directory of "
           "public certificates\n"
           "block 2 is a PRIVATE KEY: it was not copied, but it does not belong in a directory of "
           "public certificates\n"
           "block 3 is no certificate but \"X509 CRL\"\n");
}

static void nothing_at_all(void **state) {
    (void)state;
    struct buf input = {0};
    expect(&input, 0, "it is empty\n");
    add(&input, "just text\n");
    expect(&input, 0, "it holds no certificate, PEM or DER\n");
    add(&input, "# -----BEGIN CERTIFICATE-----\n");
    expect(&input, 0, "it holds no certificate, PEM or DER\n");
}

static void too_many_problems_are_counted(void **state) {
    (void)state;
    struct buf input = {0};
    struct seen seen = {0};
    for (int i = 0; i < TRUST_INPUT_PROBLEMS_MAX + 5; i++) {
        add(&input, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
    }
    read(&seen, buf_span(&input));
    assert_int_equal(seen.num_problems, TRUST_INPUT_PROBLEMS_MAX + 1);
    struct span said = buf_span(&seen.problems);
    static const char last[] = "and 5 more problems\n";
    assert_true(said.len > strlen(last));
    assert_memory_equal(said.ptr + said.len - strlen(last), last, strlen(last));
    buf_fini(&seen.problems);
    buf_fini(&input);
}

static void a_block_is_bounded(void **state) {
    (void)state;
    struct buf input = {0};
    char *big = malloc(2 * TRUST_CERT_DER_MAX + 1);
    assert_non_null(big);
    memset(big, 'A', 2 * TRUST_CERT_DER_MAX);
    big[2 * TRUST_CERT_DER_MAX] = '\0';
    add(&input, "-----BEGIN CERTIFICATE-----\n");
    add(&input, big);
    add(&input, "\n-----END CERTIFICATE-----\n");
    free(big);
    expect(&input, 0, "block 1 has 131074 bytes; at most 131072 are taken\n");
}

static void a_sink_that_stops(void **state) {
    const struct pki_cert *const *certs = *state;
    struct buf input = {0};
    struct seen seen = {.stop_after = 1};
    const struct trust_input_sink sink = {
        .arg = &seen, .certificate = on_certificate, .problem = on_problem};
    add_pem(&input, "CERTIFICATE", pki_der(certs[0]));
    add_pem(&input, "CERTIFICATE", pki_der(certs[1]));
    assert_false(trust_input_parse(buf_span(&input), &sink));
    assert_int_equal(seen.num_certificates, 1);
    buf_fini(&input);
}

static int set_up(void **state) {
    static struct pki_cert *certs[2];
    certs[0] = pki_ca();
    certs[1] = pki_ca();
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
        cmocka_unit_test(a_file_of_many_kinds),
        cmocka_unit_test(crlf),
        cmocka_unit_test(trusted_certificates_lose_their_settings),
        cmocka_unit_test(der),
        cmocka_unit_test(the_broken_block_is_named_and_the_rest_is_taken),
        cmocka_unit_test(what_is_no_certificate),
        cmocka_unit_test(nothing_at_all),
        cmocka_unit_test(too_many_problems_are_counted),
        cmocka_unit_test(a_block_is_bounded),
        cmocka_unit_test(a_sink_that_stops),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
