// Who does the records after the handshake: our layer (tls_record) wherever TLS 1.3 was negotiated,
// else BoringSSL. It happens at the first read or write, so that a server's tickets leave together
// with what it says first.
#include <openssl/err.h>
#include <openssl/mem.h>

#include "agent/tls/tls_stream_internal.h"
#include "agent/tls/traffic_secrets.h"

static void let_library_go(struct tls_stream *stream) {
    SSL_free(stream->ssl);
    stream->ssl = NULL;
}

// The first ticket is kept; the library is not kept for more of them.
static bool on_ticket(void *arg, struct span message) {
    struct tls_stream *stream = arg;
    if (stream->ssl == NULL) {
        return true;
    }
    SSL_SESSION *session =
        SSL_process_tls13_new_session_ticket(stream->ssl, message.ptr, message.len);
    bool is_sound = session != NULL;
    if (is_sound && tls_verify_keep_session(stream->ssl, session) == 0) {
        SSL_SESSION_free(session);
    }
    ERR_clear_error();
    let_library_go(stream);
    return is_sound;
}

static bool suite_of(const SSL *ssl, enum aead_suite *out) {
    switch (SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl))) {
    case 0x1301:
        *out = AEAD_AES_128_GCM;
        return true;
    case 0x1302:
        *out = AEAD_AES_256_GCM;
        return true;
    case 0x1303:
        *out = AEAD_CHACHA20_POLY1305;
        return true;
    default:
        return false;
    }
}

// From here on BoringSSL must not seal anything: it does not know which record numbers are used up,
// and a number used twice gives away AES-GCM's key. Processing a malformed ticket, it would send an
// alert. So it holds itself for shut down, and has nowhere to write to.
static void silence_library(struct tls_stream *stream) {
    SSL_set_shutdown(stream->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_set_bio(stream->ssl, NULL, NULL);
    if (stream->verifier.sessions == NULL) { // a server, or a client that keeps no tickets
        let_library_go(stream);
    }
}

static struct tls_record *make_layer(struct tls_stream *stream) {
    struct tls_record_setup setup = {
        .bio = &stream->bio,
        .is_client = SSL_is_server(stream->ssl) == 0,
        .update_after = stream->update_after,
        .ticket = on_ticket,
        .arg = stream,
    };
    struct traffic_secrets secrets;
    struct tls_record *layer = NULL;
    if (suite_of(stream->ssl, &setup.suite) && traffic_secrets_get(stream->ssl, &secrets)) {
        layer = tls_record_new(&setup, &secrets);
    }
    OPENSSL_cleanse(&secrets, sizeof(secrets));
    return layer;
}

bool tls_stream_settle(struct tls_stream *stream) {
    if (stream->is_settled) {
        return true;
    }
    stream->is_settled = true;
    if (stream->keeps_library || SSL_version(stream->ssl) < TLS1_3_VERSION) {
        return true;
    }
    // A server's tickets are sealed only now, and count.
    if (SSL_is_server(stream->ssl) && SSL_write(stream->ssl, "", 0) < 0) {
        tls_stream_fail_by_library(stream);
        return false;
    }
    stream->record = make_layer(stream);
    ERR_clear_error();
    if (stream->record != NULL) {
        silence_library(stream);
    }
    return true;
}
