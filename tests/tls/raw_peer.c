#include "tests/tls/raw_peer.h"

#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>

#include "base/check.h"

static enum ssl_verify_result_t believe(SSL *ssl, uint8_t *out_alert) {
    (void)ssl;
    (void)out_alert;
    return ssl_verify_ok;
}

static int select_offered(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in,
                          unsigned in_len, void *arg) {
    (void)ssl;
    const char *ours = arg;
    for (unsigned i = 0; i < in_len; i += in[i] + 1u) {
        if (in[i] == strlen(ours) && memcmp(in + i + 1, ours, in[i]) == 0) {
            *out = in + i + 1;
            *out_len = in[i];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_NOACK;
}

static int take_ticket(SSL *ssl, SSL_SESSION *session) {
    struct raw_peer *raw = SSL_get_app_data(ssl);
    raw->num_tickets++;
    SSL_SESSION_free(raw->session);
    raw->session = session;
    return 1; // ours
}

static void set_ticket_keys(SSL_CTX *ctx, const uint8_t *keys) {
    static const uint8_t id[] = "raw";
    if (keys != NULL) {
        CHECK(SSL_CTX_set_tlsext_ticket_keys(ctx, keys, 48));
        CHECK(SSL_CTX_set_session_id_context(ctx, id, sizeof(id)));
    }
}

static void set_alpn(SSL_CTX *ctx, const struct raw_options *options) {
    if (options->alpn == NULL) {
        return;
    }
    if (options->server) {
        SSL_CTX_set_alpn_select_cb(ctx, select_offered, (void *)(uintptr_t)options->alpn);
        return;
    }
    uint8_t wire[64];
    size_t len = strlen(options->alpn);
    wire[0] = (uint8_t)len;
    memcpy(wire + 1, options->alpn, len);
    CHECK(SSL_CTX_set_alpn_protos(ctx, wire, (unsigned)len + 1) == 0);
}

// Signs with the key at hand, whatever the certificate says.
static enum ssl_private_key_result_t sign_anyway(SSL *ssl, uint8_t *out, size_t *out_len,
                                                 size_t max_out, uint16_t algorithm,
                                                 const uint8_t *in, size_t in_len) {
    struct raw_peer *raw = SSL_get_app_data(ssl);
    EVP_MD_CTX ctx;
    EVP_MD_CTX_init(&ctx);
    *out_len = max_out;
    int ok = EVP_DigestSignInit(&ctx, NULL, SSL_get_signature_algorithm_digest(algorithm), NULL,
                                raw->foreign_key) &&
             EVP_DigestSign(&ctx, out, out_len, in, in_len);
    EVP_MD_CTX_cleanup(&ctx);
    return ok ? ssl_private_key_success : ssl_private_key_failure;
}

static const SSL_PRIVATE_KEY_METHOD foreign_method = {.sign = sign_anyway};

static void set_certificate(struct raw_peer *raw, const struct raw_options *options) {
    if (options->num_chain == 0) {
        return;
    }
    EVP_PKEY *key = options->key_is_foreign ? NULL : options->key;
    raw->foreign_key = options->key_is_foreign ? options->key : NULL;
    CHECK(SSL_CTX_set_chain_and_key(raw->ctx, options->chain, options->num_chain, key,
                                    key == NULL ? &foreign_method : NULL));
}

void raw_peer_init(struct raw_peer *raw, const struct raw_options *options) {
    *raw = (struct raw_peer){.ctx = SSL_CTX_new(TLS_with_buffers_method())};
    CHECK(raw->ctx != NULL);
    uint16_t max = options->max_version != 0 ? options->max_version : TLS1_3_VERSION;
    CHECK(SSL_CTX_set_max_proto_version(raw->ctx, max));
    int mode = !options->server || options->ask_certificate ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;
    SSL_CTX_set_custom_verify(raw->ctx, mode, believe);
    SSL_CTX_set_session_cache_mode(raw->ctx, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(raw->ctx, take_ticket);
    set_ticket_keys(raw->ctx, options->ticket_keys);
    set_alpn(raw->ctx, options);
    set_certificate(raw, options);
    raw->ssl = SSL_new(raw->ctx);
    CHECK(raw->ssl != NULL);
    SSL_set_app_data(raw->ssl, raw);
    CHECK(options->server_name == NULL || SSL_set_tlsext_host_name(raw->ssl, options->server_name));
    CHECK(options->session == NULL || SSL_set_session(raw->ssl, options->session));
    SSL_set_bio(raw->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    BIO_set_mem_eof_return(SSL_get_rbio(raw->ssl), -1);
    if (options->server) {
        SSL_set_accept_state(raw->ssl);
    } else {
        SSL_set_connect_state(raw->ssl);
    }
}

void raw_peer_fini(struct raw_peer *raw) {
    SSL_SESSION_free(raw->session);
    SSL_free(raw->ssl);
    SSL_CTX_free(raw->ctx);
}

void raw_peer_send(struct raw_peer *raw, struct tls_side *side) {
    const uint8_t *bytes = NULL;
    size_t len = 0;
    CHECK(BIO_mem_contents(SSL_get_wbio(raw->ssl), &bytes, &len));
    CHECK(buf_append(&side->in, bytes, len));
    BIO_reset(SSL_get_wbio(raw->ssl));
}

void raw_peer_receive(struct raw_peer *raw, struct tls_pair *pair, struct tls_side *side) {
    struct tls_side *other = side == &pair->client ? &pair->server : &pair->client;
    struct span wire = buf_span(&other->in);
    if (wire.len > 0) {
        CHECK(BIO_write(SSL_get_rbio(raw->ssl), wire.ptr, (int)wire.len) == (int)wire.len);
        buf_clear(&other->in);
    }
}

bool raw_peer_handshake(struct raw_peer *raw, struct tls_pair *pair, struct tls_side *side) {
    int done = 0;
    for (int i = 0; i < 10; i++) {
        done = SSL_do_handshake(raw->ssl);
        raw_peer_send(raw, side);
        tls_side_begin(pair, side);
        if (side->handshake == TLS_AGAIN) {
            side->handshake = tls_stream_handshake(side->stream);
        }
        tls_side_end(pair, side);
        raw_peer_receive(raw, pair, side);
    }
    return done == 1;
}

int raw_peer_read(struct raw_peer *raw, uint8_t *out, int cap) {
    int got = SSL_read(raw->ssl, out, cap);
    if (got > 0) {
        return got;
    }
    uint32_t error = ERR_get_error();
    ERR_clear_error();
    int reason = ERR_GET_REASON(error);
    return reason > SSL_AD_REASON_OFFSET ? SSL_AD_REASON_OFFSET - reason : 0;
}
