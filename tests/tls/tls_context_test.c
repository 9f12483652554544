// The TLS configuration of an identity: what it is made of, its lifetime, its settings.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ssl.h>

#include "agent/tls/tls_context.h"
#include "tests/tls/tls_fixture.h"

static void settings_are_strict(void **state) {
    const struct tls_fixture *fixture = *state;
    for (int use = 0; use < TLS_USE_COUNT; use++) {
        SSL_CTX *ctx = tls_context_ssl(fixture->client, (enum tls_use)use);
        assert_non_null(ctx);
        uint16_t least = use == TLS_MUTUAL_CLIENT ? TLS1_2_VERSION : TLS1_3_VERSION;
        assert_int_equal(SSL_CTX_get_min_proto_version(ctx), least);
        assert_int_equal(SSL_CTX_get_max_proto_version(ctx), TLS1_3_VERSION);
        // Nothing is kept in the library: a server has tickets only, a client our own cache.
        int mode = SSL_CTX_get_session_cache_mode(ctx);
        assert_int_equal(mode, use == TLS_MESH_SERVER
                                   ? SSL_SESS_CACHE_OFF
                                   : SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        assert_int_equal(SSL_CTX_get_max_cert_list(ctx), 64 * 1024);
    }
}

static void it_holds_its_identity(void **state) {
    (void)state;
    OWNED(pki_free) struct pki_cert *ca = pki_ca();
    struct identity *identity = pki_identity(ca, CLIENT_ID, 7);
    struct err err = {0};
    struct tls_context *context = tls_context_new(identity, span_of_text("policy"), &err);
    identity_unref(identity);
    assert_int_equal(identity_generation(tls_context_identity(context)), 7);
    struct tls_context *again = tls_context_ref(context);
    assert_ptr_equal(again, context);
    tls_context_unref(context);
    assert_int_equal(identity_generation(tls_context_identity(again)), 7);
    tls_context_unref(again);
    tls_context_unref(NULL);
}

static void a_stream_holds_its_context(void **state) {
    (void)state;
    OWNED(pki_free) struct pki_cert *ca = pki_ca();
    struct tls_context *context = tls_fixture_context(ca, CLIENT_ID);
    struct tls_expectation any = {0};
    struct tls_stream *stream = tls_stream_new(context, TLS_MESH_CLIENT, &any);
    assert_non_null(stream);
    tls_context_unref(context);
    assert_int_equal(tls_stream_handshake(stream), TLS_AGAIN);
    assert_true(tls_stream_backlog(stream).len > 0);
    tls_stream_free(stream);
    tls_stream_free(NULL);
}

static void every_key_type_of_an_svid_works(void **state) {
    const struct tls_fixture *fixture = *state;
    static const enum pki_key keys[] = {PKI_P256, PKI_P384, PKI_RSA2048};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct pki_options leaf = {.key = keys[i], .uris = {span_of_text(CLIENT_ID)}};
        OWNED(tls_context_unref)
        struct tls_context *client = tls_fixture_context_of(
            pki_svid_with(fixture->ca, &leaf), pki_bundles("example.org", fixture->ca));
        struct tls_pair pair;
        tls_pair_init(&pair,
                      &(struct tls_pair_options){.client = client, .server = fixture->server});
        tls_pair_handshake(&pair);
        assert_string_equal(tls_stream_error(pair.server.stream), "");
        assert_int_equal(pair.server.handshake, TLS_OK);
        assert_string_equal(tls_stream_peer(pair.server.stream)->id.text, CLIENT_ID);
        tls_pair_fini(&pair);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_strict),
        cmocka_unit_test(it_holds_its_identity),
        cmocka_unit_test(a_stream_holds_its_context),
        cmocka_unit_test(every_key_type_of_an_svid_works),
    };
    return cmocka_run_group_tests(tests, tls_fixture_set_up, tls_fixture_tear_down);
}
