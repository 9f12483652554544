// The error queue as sentences.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "agent/tls/tls_error.h"

struct row {
    int library;
    int reason;
    bool in_handshake;
    const char *text;
};

static const struct row rows[] = {
    {ERR_LIB_SSL, SSL_R_WRONG_VERSION_NUMBER, true,
     "wrong version number: the peer does not speak TLS"},
    {ERR_LIB_SSL, SSL_R_WRONG_VERSION_NUMBER, false, "wrong version number"},
    {ERR_LIB_SSL, SSL_R_BAD_SIGNATURE, true,
     "bad signature: the peer does not hold its certificate's key"},
    {ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER, false, "no shared cipher"},
    {ERR_LIB_SSL, SSL_AD_REASON_OFFSET + SSL_AD_UNKNOWN_CA, false,
     "the peer sent alert \"unknown CA\": it does not trust our certificate"},
    {ERR_LIB_SSL, SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_REQUIRED, false,
     "the peer sent alert \"certificate required\": it demands a client certificate"},
    {ERR_LIB_SSL, SSL_AD_REASON_OFFSET + SSL_AD_ILLEGAL_PARAMETER, true,
     "the peer sent alert \"illegal parameter\" (47)"},
    {ERR_LIB_SSL, SSL_AD_REASON_OFFSET + 200, true, "the peer sent alert \"unknown\" (200)"},
    {ERR_LIB_SSL, ERR_R_MALLOC_FAILURE, true, "cannot allocate memory for TLS"},
};

static void reasons_become_sentences(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ERR_clear_error();
        ERR_put_error(rows[i].library, 0, rows[i].reason, "file", 1);
        ERR_put_error(ERR_LIB_SSL, 0, SSL_R_CERTIFICATE_VERIFY_FAILED, "file", 2);
        struct tls_error error;
        tls_error_take(&error, rows[i].in_handshake);
        assert_string_equal(error.text, rows[i].text);
        bool is_alert = rows[i].library == ERR_LIB_SSL && rows[i].reason > SSL_AD_REASON_OFFSET;
        assert_true(error.is_alert == is_alert);
        assert_false(error.is_no_certificate);
        assert_int_equal(ERR_peek_error(), 0);
    }
}

static void the_tls_reason_wins(void **state) {
    (void)state;
    struct tls_error error;
    ERR_put_error(ERR_LIB_EVP, 0, EVP_R_DECODE_ERROR, "file", 1);
    tls_error_take(&error, true);
    assert_string_equal(error.text, "decode error");
    ERR_put_error(ERR_LIB_EVP, 0, EVP_R_DECODE_ERROR, "file", 1);
    ERR_put_error(ERR_LIB_SSL, 0, SSL_R_NO_SHARED_CIPHER, "file", 1);
    tls_error_take(&error, false);
    assert_string_equal(error.text, "no shared cipher");
    assert_int_equal(ERR_peek_error(), 0);
}

static void an_empty_queue_has_a_sentence_too(void **state) {
    (void)state;
    ERR_clear_error();
    struct tls_error error;
    tls_error_take(&error, true);
    assert_string_equal(error.text, "the TLS library failed without saying why");
}

static void a_missing_certificate_is_marked(void **state) {
    (void)state;
    ERR_put_error(ERR_LIB_SSL, 0, SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "file", 1);
    struct tls_error error;
    tls_error_take(&error, true);
    assert_true(error.is_no_certificate);
    assert_string_equal(error.text, "the peer presented no certificate");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reasons_become_sentences),
        cmocka_unit_test(the_tls_reason_wins),
        cmocka_unit_test(an_empty_queue_has_a_sentence_too),
        cmocka_unit_test(a_missing_certificate_is_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
