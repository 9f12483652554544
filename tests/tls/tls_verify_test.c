// Verifying again what a stream was verified with before: after a change of bundles, with time.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "agent/tls/tls_verify.h"
#include "base/clock.h"
#include "tests/tls/tls_fixture.h"

static struct identity *identity_with(struct bundle_set *bundles, const struct pki_cert *ca) {
    OWNED(bundle_set_unref) struct bundle_set *owned = bundles;
    OWNED(svid_unref) struct svid *svid = pki_svid(ca, SERVER_ID);
    return identity_new(2, &svid, 1, owned);
}

static void a_changed_bundle_is_seen(void **state) {
    const struct tls_fixture *fixture = *state;
    struct tls_pair pair;
    tls_fixture_connect(fixture, &pair, false);
    OWNED(pki_free) struct pki_cert *new_ca = pki_ca();
    OWNED(identity_unref)
    struct identity *same = identity_with(pki_bundles("example.org", fixture->ca), fixture->ca);
    OWNED(identity_unref)
    struct identity *other = identity_with(pki_bundles("example.org", new_ca), new_ca);
    OWNED(identity_unref)
    struct identity *elsewhere = identity_with(pki_bundles("other.org", fixture->ca), new_ca);
    const struct tls_stream *streams[] = {pair.client.stream, pair.server.stream};
    int64_t now = clock_wall_s();
    for (int i = 0; i < 2; i++) {
        struct err err = {0};
        assert_int_equal(tls_stream_reverify(streams[i], same, now, &err), VERIFY_OK);
        assert_string_equal(err.msg, "");
        assert_int_equal(tls_stream_reverify(streams[i], other, now, &err), VERIFY_UNTRUSTED);
        assert_string_not_equal(err.msg, "");
        assert_int_equal(tls_stream_reverify(streams[i], elsewhere, now, NULL),
                         VERIFY_UNKNOWN_TRUST_DOMAIN);
        assert_int_equal(tls_stream_reverify(streams[i], same, PKI_NOT_AFTER + 1, NULL),
                         VERIFY_EXPIRED);
        assert_int_equal(tls_stream_reverify(streams[i], same, PKI_NOT_BEFORE - 1000000, NULL),
                         VERIFY_NOT_YET_VALID);
    }
    // Looking again has changed nothing, and left nothing in the error queue.
    size_t n = 0;
    assert_int_equal(tls_side_drain(&pair, &pair.client), TLS_AGAIN);
    assert_int_equal(tls_side_write(&pair, &pair.client, span_of_text("x"), &n), TLS_OK);
    assert_int_equal(tls_side_drain(&pair, &pair.server), TLS_OK);
    tls_pair_fini(&pair);
}

static bool accepts_and_leaves_rubbish(void *arg, const struct peer *peer) {
    (void)arg;
    (void)peer;
    ERR_put_error(ERR_LIB_X509, 0, X509_R_BAD_X509_FILETYPE, "file", 1);
    return true;
}

// SSL_get_error reads the queue: what verification leaves there would be taken for an error of a
// handshake that only waits for more input.
static void the_error_queue_is_left_clean(void **state) {
    const struct tls_fixture *fixture = *state;
    struct tls_expectation expect = {.accept = accepts_and_leaves_rubbish};
    struct tls_pair pair;
    tls_pair_init(&pair, &(struct tls_pair_options){.client = fixture->client,
                                                    .server = fixture->server,
                                                    .client_expects = expect,
                                                    .server_expects = expect});
    tls_pair_handshake(&pair);
    assert_int_equal(ERR_peek_error(), 0); // as the server's last step left it
    assert_int_equal(pair.client.handshake, TLS_OK);
    assert_int_equal(pair.server.handshake, TLS_OK);
    tls_pair_fini(&pair);
}

static void without_a_verifier_nothing_passes(void **state) {
    const struct tls_fixture *fixture = *state;
    SSL *ssl = SSL_new(tls_context_ssl(fixture->client, TLS_MESH_CLIENT));
    assert_non_null(ssl);
    uint8_t alert = 0;
    assert_int_equal(tls_verify_callback(ssl, &alert), ssl_verify_invalid);
    assert_int_equal(alert, SSL_AD_INTERNAL_ERROR);
    SSL_free(ssl);
}

static void each_verdict_has_its_alert(void **state) {
    (void)state;
    static const uint8_t ALERTS[VERIFY_RESULT_COUNT] = {
        [VERIFY_NO_CERTIFICATE] = SSL_AD_CERTIFICATE_REQUIRED,
        [VERIFY_UNKNOWN_TRUST_DOMAIN] = SSL_AD_UNKNOWN_CA,
        [VERIFY_UNTRUSTED] = SSL_AD_UNKNOWN_CA,
        [VERIFY_EXPIRED] = SSL_AD_CERTIFICATE_EXPIRED,
        [VERIFY_NOT_YET_VALID] = SSL_AD_CERTIFICATE_EXPIRED,
        [VERIFY_REVOKED] = SSL_AD_CERTIFICATE_REVOKED,
        [VERIFY_BAD_USAGE] = SSL_AD_UNSUPPORTED_CERTIFICATE,
        [VERIFY_SUBJECT] = SSL_AD_ACCESS_DENIED,
    };
    for (enum verify_result i = VERIFY_OK; i < VERIFY_RESULT_COUNT; i++) {
        uint8_t alert = ALERTS[i] != 0 ? ALERTS[i] : SSL_AD_BAD_CERTIFICATE;
        assert_int_equal(tls_verify_alert(i), alert);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_changed_bundle_is_seen),
        cmocka_unit_test(the_error_queue_is_left_clean),
        cmocka_unit_test(without_a_verifier_nothing_passes),
        cmocka_unit_test(each_verdict_has_its_alert),
    };
    return cmocka_run_group_tests(tests, tls_fixture_set_up, tls_fixture_tear_down);
}
