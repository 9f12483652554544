// The wire of CreateCertificate: both ways, and every way in which it can be wrong.
#include "certmgr/istio_ca_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "certmgr/pem.h"
#include "tests/testing/pki.h"

static void request_goes_around(void **state) {
    (void)state;
    struct buf wire = {0};
    struct istio_ca_request request = {0};
    struct err err;
    assert_true(istio_ca_codec_encode_request(span_of_text("0 some DER"), 3600, &wire, &err));
    // Field 1 as a string, field 3 as a varint: what other implementations read.
    assert_int_equal(wire.mem[wire.start], 0x0a);
    assert_int_equal(wire.mem[wire.start + wire.len - 3], 0x18);
    assert_true(istio_ca_codec_decode_request(buf_span(&wire), &request, &err));
    assert_int_equal(request.validity_s, 3600);
    static const char head[] = "-----BEGIN CERTIFICATE REQUEST-----\n";
    assert_memory_equal(buf_span(&request.csr_pem).ptr, head, strlen(head));
    buf_fini(&request.csr_pem);
    buf_fini(&wire);
}

static void bad_requests_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {{"", 0}, {"\x18\x01", 2}, {"\x0a\x00", 2}, {"\x0a\x7f", 2}, {"\xff", 1}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct istio_ca_request request = {0};
        struct err err;
        assert_false(
            istio_ca_codec_decode_request(span_of(bad[i].bytes, bad[i].len), &request, &err));
        assert_int_equal(err.class, ERR_INPUT);
    }
    uint8_t *large = calloc(1, ISTIO_CA_REQUEST_MAX + 1);
    struct istio_ca_request request = {0};
    struct err err;
    assert_false(
        istio_ca_codec_decode_request(span_of(large, ISTIO_CA_REQUEST_MAX + 1), &request, &err));
    free(large);
}

struct fixture {
    struct pki_cert *root;
    struct pki_cert *second_root;
    struct pki_cert *intermediate;
    struct pki_cert *leaf;
};

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture->root = pki_ca();
    fixture->second_root = pki_ca();
    fixture->intermediate = pki_intermediate(fixture->root);
    fixture->leaf = pki_leaf(fixture->intermediate, "spiffe://td/a");
    *state = fixture;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    pki_free(fixture->root);
    pki_free(fixture->second_root);
    pki_free(fixture->intermediate);
    pki_free(fixture->leaf);
    free(fixture);
    return 0;
}

static void response_goes_around(void **state) {
    const struct fixture *fixture = *state;
    const struct pki_cert *chain_certs[] = {fixture->leaf, fixture->intermediate};
    const struct pki_cert *root_certs[] = {fixture->root, fixture->second_root};
    struct pki_bytes *chain OWNED(pki_bytes_free) = pki_concat(chain_certs, 2);
    struct pki_bytes *roots OWNED(pki_bytes_free) = pki_concat(root_certs, 2);
    struct buf wire = {0};
    struct buf chain_back = {0};
    struct buf roots_back = {0};
    struct err err;
    assert_true(istio_ca_codec_encode_response(pki_span(chain), pki_span(roots), &wire, &err));
    assert_true(istio_ca_codec_decode_response(buf_span(&wire), &chain_back, &roots_back, &err));
    assert_true(span_equal(buf_span(&chain_back), pki_span(chain)));
    assert_true(span_equal(buf_span(&roots_back), pki_span(roots)));
    buf_fini(&wire);
    buf_fini(&chain_back);
    buf_fini(&roots_back);
}

static void entry(struct buf *wire, const char *text, size_t len) {
    uint8_t head[4] = {0x0a, (uint8_t)(len | 0x80), (uint8_t)((len >> 7) | 0x80),
                       (uint8_t)(len >> 14)};
    assert_true(buf_append(wire, head, sizeof(head)));
    assert_true(len == 0 || buf_append(wire, text, len));
}

static void entry_of(struct buf *wire, const struct pki_cert *const *certs, size_t num) {
    struct buf pem = {0};
    for (size_t i = 0; i < num; i++) {
        assert_true(pem_render("CERTIFICATE", pki_der(certs[i]), &pem));
    }
    entry(wire, (const char *)buf_span(&pem).ptr, pem.len);
    buf_fini(&pem);
}

static bool decodes(const struct buf *wire, size_t *chain_len, struct err *err) {
    struct buf chain = {0};
    struct buf roots = {0};
    bool ok = istio_ca_codec_decode_response(buf_span(wire), &chain, &roots, err);
    assert_true(ok || (chain.len == 0 && roots.len == 0 && err->class == ERR_INPUT));
    *chain_len = chain.len;
    buf_fini(&chain);
    buf_fini(&roots);
    return ok;
}

// Some CAs put the whole chain into the first entry.
static void several_certificates_in_one_entry(void **state) {
    const struct fixture *fixture = *state;
    const struct pki_cert *chain[] = {fixture->leaf, fixture->intermediate};
    const struct pki_cert *roots[] = {fixture->root, fixture->second_root};
    struct buf wire = {0};
    struct err err;
    size_t chain_len;
    entry_of(&wire, chain, 2);
    entry_of(&wire, roots, 2);
    assert_true(decodes(&wire, &chain_len, &err));
    assert_int_equal(chain_len, pki_der(chain[0]).len + pki_der(chain[1]).len);
    buf_fini(&wire);
}

static void too_few_or_too_many_entries(void **state) {
    const struct fixture *fixture = *state;
    const struct pki_cert *one[] = {fixture->leaf};
    struct err err;
    size_t chain_len;
    for (size_t num = 0; num <= ISTIO_CA_PARTS_MAX + 1; num++) {
        struct buf wire = {0};
        for (size_t i = 0; i < num; i++) {
            entry_of(&wire, one, 1);
        }
        assert_int_equal(decodes(&wire, &chain_len, &err), num >= 2 && num <= ISTIO_CA_PARTS_MAX);
        buf_fini(&wire);
    }
}

static void entries_without_a_certificate(void **state) {
    const struct fixture *fixture = *state;
    const struct pki_cert *one[] = {fixture->leaf};
    static const char empty_block[] = "-----BEGIN CERTIFICATE-----\nAAAA\n"
                                      "-----END CERTIFICATE-----\n";
    static const char *const bad[] = {"", "hello", empty_block};
    struct err err;
    size_t chain_len;
    for (size_t i = 0; i < 2 * sizeof(bad) / sizeof(bad[0]); i++) {
        struct buf wire = {0};
        const char *text = bad[i / 2];
        if (i % 2 == 0) {
            entry(&wire, text, strlen(text));
            entry_of(&wire, one, 1);
        } else {
            entry_of(&wire, one, 1);
            entry(&wire, text, strlen(text));
        }
        assert_false(decodes(&wire, &chain_len, &err));
        buf_fini(&wire);
    }
}

static void truncated_responses_end_well(void **state) {
    const struct fixture *fixture = *state;
    const struct pki_cert *one[] = {fixture->leaf};
    struct buf wire = {0};
    struct err err;
    entry_of(&wire, one, 1);
    entry_of(&wire, one, 1);
    for (size_t len = 0; len < wire.len; len++) {
        uint8_t *copy = malloc(len + 1);
        struct buf chain = {0};
        struct buf roots = {0};
        memcpy(copy, buf_span(&wire).ptr, len);
        assert_false(istio_ca_codec_decode_response(span_of(copy, len), &chain, &roots, &err));
        free(copy);
    }
    buf_fini(&wire);
}

static void memory_is_bounded(void **state) {
    (void)state;
    struct buf wire = {0};
    struct err err;
    size_t chain_len;
    for (int i = 0; i < 100000; i++) { // 2-byte fields, which would take 20 times as much
        assert_true(buf_append(&wire, "\x0a\x00", 2));
    }
    assert_false(decodes(&wire, &chain_len, &err));
    buf_fini(&wire);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_goes_around),
        cmocka_unit_test(bad_requests_are_refused),
        ROW(response_goes_around),
        ROW(several_certificates_in_one_entry),
        ROW(too_few_or_too_many_entries),
        ROW(entries_without_a_certificate),
        ROW(truncated_responses_end_well),
        ROW(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
