// Requests: what we send is what the CA is to see, and what somebody sends is believed only as far
// as its signature goes.
#include "certmgr/csr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/digest.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/stack.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "certmgr/pem.h"
#include "tests/testing/pki.h"

#define ID "spiffe://example.org/ns/default/sa/web"

OWN_DEFINE(X509_REQ, X509_REQ_free)
OWN_DEFINE(EVP_PKEY, EVP_PKEY_free)

static X509_REQ *parse(const struct buf *der) {
    const uint8_t *at = buf_span(der).ptr;
    X509_REQ *req = d2i_X509_REQ(NULL, &at, (long)der->len);
    assert_non_null(req);
    assert_ptr_equal(at, buf_span(der).ptr + der->len);
    return req;
}

static void assert_san(X509_REQ *req, const char *uri) {
    STACK_OF(X509_EXTENSION) *all = X509_REQ_get_extensions(req);
    assert_int_equal(sk_X509_EXTENSION_num(all), 1);
    X509_EXTENSION *san = sk_X509_EXTENSION_value(all, 0);
    assert_int_equal(X509_EXTENSION_get_critical(san), 1);
    GENERAL_NAMES *names = X509V3_EXT_d2i(san);
    assert_int_equal(sk_GENERAL_NAME_num(names), 1);
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, 0);
    assert_int_equal(name->type, GEN_URI);
    struct span found =
        span_of(ASN1_STRING_get0_data(name->d.ia5), (size_t)ASN1_STRING_length(name->d.ia5));
    assert_true(span_equal_text(found, uri));
    GENERAL_NAMES_free(names);
    sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
}

static void request_has_a_fresh_key_and_the_id(void **state) {
    (void)state;
    struct buf csr[2] = {{0}};
    struct buf key[2] = {{0}};
    struct err err;
    for (int i = 0; i < 2; i++) {
        assert_true(csr_new(ID, &csr[i], &key[i], &err));
        X509_REQ *req OWNED(X509_REQ_free) = parse(&csr[i]);
        assert_int_equal(X509_NAME_entry_count(X509_REQ_get_subject_name(req)), 0);
        assert_san(req, ID);
        struct buf pem = {0};
        assert_true(pem_render("CERTIFICATE REQUEST", buf_span(&csr[i]), &pem));
        EVP_PKEY *opened OWNED(EVP_PKEY_free) = csr_open(buf_span(&pem), &err);
        assert_non_null(opened);
        buf_fini(&pem);
    }
    assert_false(span_equal(buf_span(&key[0]), buf_span(&key[1])));
    for (int i = 0; i < 2; i++) {
        buf_fini(&csr[i]);
        buf_clear_secret(&key[i]);
    }
}

static void without_an_id_there_is_no_extension(void **state) {
    (void)state;
    struct buf csr = {0};
    struct buf key = {0};
    struct err err;
    assert_true(csr_new(NULL, &csr, &key, &err));
    X509_REQ *req OWNED(X509_REQ_free) = parse(&csr);
    assert_int_equal(X509_REQ_get_attr_count(req), 0);
    buf_fini(&csr);
    buf_clear_secret(&key);
}

// A request for `claimed`'s public key, signed by `signer`.
static void render(EVP_PKEY *claimed, EVP_PKEY *signer, const EVP_MD *digest, struct buf *out) {
    X509_REQ *req OWNED(X509_REQ_free) = X509_REQ_new();
    assert_true(X509_REQ_set_pubkey(req, claimed));
    assert_true(X509_REQ_sign(req, signer, digest) > 0);
    uint8_t *der = NULL;
    int len = i2d_X509_REQ(req, &der);
    assert_true(pem_render("CERTIFICATE REQUEST", span_of(der, (size_t)len), out));
    OPENSSL_free(der);
}

static const struct kind {
    enum pki_key key;
    bool accepted;
} kinds[] = {
    {PKI_P256, true},  {PKI_P384, true},     {PKI_RSA2048, true},  {PKI_P224, false},
    {PKI_P521, false}, {PKI_ED25519, false}, {PKI_RSA1024, false},
};

static void key_kinds(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct pki_cert *cert OWNED(pki_free) =
            pki_issue(NULL, &(struct pki_options){.ca = true, .key = kinds[i].key});
        struct buf pem = {0};
        struct err err = {0};
        const EVP_MD *digest = kinds[i].key == PKI_ED25519 ? NULL : EVP_sha256();
        render(pki_key(cert), pki_key(cert), digest, &pem);
        EVP_PKEY *key OWNED(EVP_PKEY_free) = csr_open(buf_span(&pem), &err);
        if ((key != NULL) != kinds[i].accepted || (key == NULL && err.class != ERR_INPUT)) {
            fail_msg("key kind %d: %s", (int)kinds[i].key, err.msg);
        }
        buf_fini(&pem);
    }
}

static void a_stolen_public_key_is_refused(void **state) {
    (void)state;
    struct pki_cert *theirs OWNED(pki_free) = pki_ca();
    struct pki_cert *ours OWNED(pki_free) = pki_ca();
    struct buf pem = {0};
    struct err err = {0};
    render(pki_key(theirs), pki_key(ours), EVP_sha256(), &pem);
    assert_null(csr_open(buf_span(&pem), &err));
    assert_non_null(strstr(err.msg, "signature"));
    buf_fini(&pem);
}

static void damaged_requests_are_refused(void **state) {
    (void)state;
    struct buf csr = {0};
    struct buf key = {0};
    struct buf pem = {0};
    struct err err;
    assert_true(csr_new(ID, &csr, &key, &err));
    for (size_t i = 0; i < csr.len; i++) { // any single bit
        csr.mem[csr.start + i] ^= 1;
        assert_true(pem_render("CERTIFICATE REQUEST", buf_span(&csr), &pem));
        EVP_PKEY *opened = csr_open(buf_span(&pem), &err);
        assert_null(opened);
        csr.mem[csr.start + i] ^= 1;
        buf_clear(&pem);
    }
    static const char encrypted[] = "-----BEGIN CERTIFICATE REQUEST-----\n"
                                    "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n"
                                    "-----END CERTIFICATE REQUEST-----\n";
    assert_null(csr_open(span_of_text(encrypted), &err));
    assert_null(csr_open(span_of_text("no PEM at all"), &err));
    assert_null(csr_open(span_of("", 0), &err));
    buf_fini(&csr);
    buf_clear_secret(&key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_has_a_fresh_key_and_the_id),
        cmocka_unit_test(without_an_id_there_is_no_extension),
        cmocka_unit_test(key_kinds),
        cmocka_unit_test(a_stolen_public_key_is_refused),
        cmocka_unit_test(damaged_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
