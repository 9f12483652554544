#include "agent/tls/tls_stream.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "agent/tls/session_cache.h"
#include "agent/tls/tls_bio.h"
#include "agent/tls/tls_error.h"
#include "agent/tls/tls_verify.h"
#include "base/check.h"

#define RECORD_MAX 16384
#define RECORD_HEADER 5
// What one record may add to its plaintext: header, tag and content type, and in front of it two
// key updates, one of ours and one that answers the peer's.
#define RECORD_OVERHEAD 128
#define KEY_UPDATE_AFTER (UINT64_C(1) << 23)

struct tls_stream {
    struct tls_context *context;
    SSL *ssl;
    enum tls_use use;
    bool is_ready;       // the handshake is done and the peer has proved what it must
    bool is_closed;      // close_notify was queued
    bool got_alert;      // the peer sent a fatal alert
    enum tls_status end; // TLS_OK while it can be read; TLS_FAILED ends writing too
    uint64_t num_sealed; // records since the last key update
    uint64_t update_after;
    struct tls_bio bio;
    struct tls_verifier verifier;
    const char *fixed_error; // static text, when error is NULL
    char *error;
};

// Offers the newest session there is. BoringSSL drops it when its time is over.
static void offer_session(struct tls_stream *stream, const struct tls_expectation *expect) {
    if (stream->use == TLS_MESH_SERVER || expect->addr == NULL) {
        return;
    }
    struct session_endpoint endpoint = {
        .use = stream->use,
        .addr = expect->addr,
        .server_name = expect->server_name,
        .peers = expect->peers,
        .num_peers = expect->num_peers,
    };
    struct tls_verifier *verifier = &stream->verifier;
    verifier->sessions = tls_context_sessions(stream->context);
    session_cache_key(&endpoint, verifier->session_key);
    SSL_SESSION *session = session_cache_take(verifier->sessions, verifier->session_key);
    if (session != NULL) {
        SSL_set_session(stream->ssl, session);
        SSL_SESSION_free(session);
    }
}

static bool set_up(struct tls_stream *stream, const struct tls_expectation *expect) {
    struct tls_verifier *verifier = &stream->verifier;
    verifier->identity = tls_context_identity(stream->context);
    verifier->role = stream->use == TLS_MESH_SERVER ? VERIFY_CLIENT : VERIFY_SERVER;
    verifier->accept = expect->accept;
    verifier->arg = expect->arg;
    stream->ssl = SSL_new(tls_context_ssl(stream->context, stream->use));
    BIO *bio = stream->ssl == NULL ? NULL : tls_bio_open(&stream->bio);
    if (bio == NULL) {
        return false;
    }
    SSL_set_bio(stream->ssl, bio, bio);
    if (stream->use == TLS_MESH_SERVER) {
        SSL_set_accept_state(stream->ssl);
    } else {
        SSL_set_connect_state(stream->ssl);
    }
    SSL_set_shed_handshake_config(stream->ssl, 1);
    if (!SSL_set_app_data(stream->ssl, verifier)) {
        return false;
    }
    offer_session(stream, expect);
    if (stream->use != TLS_MUTUAL_CLIENT || expect->server_name == NULL) {
        return true;
    }
    verifier->server_name = strdup(expect->server_name);
    return verifier->server_name != NULL &&
           SSL_set_tlsext_host_name(stream->ssl, expect->server_name);
}

struct tls_stream *tls_stream_new(struct tls_context *context, enum tls_use use,
                                  const struct tls_expectation *expect) {
    OWNED(tls_stream_free) struct tls_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL) {
        return NULL;
    }
    stream->context = tls_context_ref(context);
    stream->use = use;
    stream->update_after = KEY_UPDATE_AFTER;
    if (!set_up(stream, expect)) {
        ERR_clear_error();
        return NULL;
    }
    return take(&stream);
}

void tls_stream_free(struct tls_stream *stream) {
    if (stream == NULL) {
        return;
    }
    SSL_free(stream->ssl);
    tls_bio_fini(&stream->bio);
    tls_verifier_fini(&stream->verifier);
    free(stream->error);
    tls_context_unref(stream->context);
    free(stream);
}

void tls_stream_feed(struct tls_stream *stream, struct span ciphertext) {
    stream->bio.fed = ciphertext;
}

struct span tls_stream_unread(const struct tls_stream *stream) {
    return stream->bio.fed;
}

void tls_stream_input_ended(struct tls_stream *stream) {
    stream->bio.input_ended = true;
}

void tls_stream_attach(struct tls_stream *stream, struct tls_scratch *scratch) {
    // Bytes left in it would go out on another connection.
    CHECK(scratch == NULL || scratch->len == 0);
    stream->bio.scratch = scratch;
}

struct span tls_stream_backlog(const struct tls_stream *stream) {
    return buf_span(&stream->bio.backlog);
}

void tls_stream_backlog_sent(struct tls_stream *stream, size_t len) {
    buf_consume(&stream->bio.backlog, len);
}

static enum tls_status fail(struct tls_stream *stream, const char *sentence) {
    stream->end = TLS_FAILED;
    stream->fixed_error = "TLS failed, and memory is too short to say why";
    stream->error = strdup(sentence);
    return TLS_FAILED;
}

static enum tls_status fail_by_memory(struct tls_stream *stream) {
    stream->end = TLS_FAILED;
    stream->fixed_error = "cannot allocate memory for bytes to send";
    return TLS_FAILED;
}

bool tls_stream_keep_unsent(struct tls_stream *stream, struct span unsent) {
    if (tls_bio_keep(&stream->bio, unsent)) {
        return true;
    }
    if (stream->end != TLS_FAILED) {
        fail_by_memory(stream);
    }
    return false;
}

// The error queue says why; a refusal by our own verifier says it better.
static enum tls_status fail_by_library(struct tls_stream *stream) {
    struct tls_error why;
    tls_error_take(&why, !stream->is_ready);
    if (stream->bio.is_out_of_memory) {
        return fail_by_memory(stream);
    }
    stream->got_alert = why.is_alert;
    struct tls_verifier *verifier = &stream->verifier;
    if (why.is_no_certificate) {
        verifier->result = VERIFY_NO_CERTIFICATE;
    }
    if (verifier->detail != NULL) {
        return fail(stream, verifier->detail);
    }
    return fail(stream, why.text);
}

// What a call of the library that did not succeed means. Right after it: SSL_get_error reads the
// thread's error queue.
static enum tls_status judge(struct tls_stream *stream, int returned) {
    int code = SSL_get_error(stream->ssl, returned);
    if (code == SSL_ERROR_WANT_READ) {
        return TLS_AGAIN;
    }
    if (code == SSL_ERROR_ZERO_RETURN) {
        return stream->is_ready ? (stream->end = TLS_EOF)
                                : fail(stream, "the peer sent close_notify during the handshake");
    }
    if (code == SSL_ERROR_SYSCALL && stream->bio.saw_end) {
        stream->fixed_error = stream->is_ready
                                  ? "the connection ended without close_notify"
                                  : "the peer closed the connection during the handshake";
        return stream->end = TLS_TRUNCATED;
    }
    return fail_by_library(stream);
}

static enum tls_status refuse(struct tls_stream *stream, uint8_t alert, const char *sentence) {
    SSL_send_fatal_alert(stream->ssl, alert);
    ERR_clear_error();
    return fail(stream, sentence);
}

static bool has_h2(const struct tls_stream *stream) {
    const uint8_t *protocol = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(stream->ssl, &protocol, &len);
    return span_equal_text(span_of(protocol, len), "h2");
}

// Nothing is read or written before this has said yes.
static enum tls_status finish_handshake(struct tls_stream *stream) {
    uint8_t alert = SSL_AD_CERTIFICATE_REQUIRED;
    if (SSL_session_reused(stream->ssl) &&
        tls_verify_resumed(stream->ssl, &alert) != ssl_verify_ok) {
        const char *detail = stream->verifier.detail;
        return refuse(stream, alert, detail != NULL ? detail : "the peer has not been verified");
    }
    if (!stream->verifier.is_verified || stream->verifier.is_not_accepted) {
        stream->verifier.result = VERIFY_NO_CERTIFICATE;
        return refuse(stream, SSL_AD_CERTIFICATE_REQUIRED, "the peer has not been verified");
    }
    if (stream->use != TLS_MUTUAL_CLIENT && !has_h2(stream)) {
        return refuse(stream, SSL_AD_NO_APPLICATION_PROTOCOL,
                      "the peer does not negotiate ALPN \"h2\": it is no mesh peer");
    }
    stream->is_ready = true;
    return TLS_OK;
}

enum tls_status tls_stream_handshake(struct tls_stream *stream) {
    if (stream->is_ready || stream->end != TLS_OK) {
        return stream->is_ready ? TLS_OK : stream->end;
    }
    int returned = SSL_do_handshake(stream->ssl);
    return returned == 1 ? finish_handshake(stream) : judge(stream, returned);
}

// BoringSSL takes exactly one record at a time from what was fed, so at the end of a record the
// next one's header is in sight.
static bool next_record_fits(const struct tls_stream *stream, size_t room) {
    if (room >= RECORD_MAX) {
        return true;
    }
    if (SSL_pending(stream->ssl) > 0 || stream->bio.fed.len < RECORD_HEADER) {
        return false;
    }
    const uint8_t *header = stream->bio.fed.ptr;
    return room >= ((size_t)header[3] << 8 | header[4]);
}

enum tls_status tls_stream_read(struct tls_stream *stream, uint8_t *out, size_t cap, size_t *n) {
    CHECK(stream->is_ready && cap > 0);
    *n = 0;
    enum tls_status status = stream->end;
    while (status == TLS_OK && (*n == 0 || next_record_fits(stream, cap - *n))) {
        size_t room = cap - *n;
        int got = SSL_read(stream->ssl, out + *n, room < INT_MAX ? (int)room : INT_MAX);
        if (got > 0) {
            *n += (size_t)got;
        } else {
            status = judge(stream, got);
        }
    }
    return *n > 0 ? TLS_OK : status;
}

// TLS 1.2 has no key update: such a connection keeps its key.
static bool update_key(struct tls_stream *stream) {
    if (stream->num_sealed < stream->update_after || SSL_version(stream->ssl) < TLS1_3_VERSION) {
        return true;
    }
    stream->num_sealed = 0;
    return SSL_key_update(stream->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1;
}

// Seals one record. The room was there, so anything but success is the end.
static bool seal(struct tls_stream *stream, const uint8_t *bytes, size_t len) {
    if (!update_key(stream) || SSL_write(stream->ssl, bytes, (int)len) != (int)len) {
        fail_by_library(stream);
        return false;
    }
    stream->num_sealed++;
    return true;
}

enum tls_status tls_stream_write(struct tls_stream *stream, const uint8_t *bytes, size_t len,
                                 size_t *n) {
    CHECK(stream->is_ready && !stream->is_closed);
    *n = 0;
    while (stream->end != TLS_FAILED && *n < len) {
        size_t chunk = len - *n < RECORD_MAX ? len - *n : RECORD_MAX;
        if (!tls_bio_has_room(&stream->bio, chunk + RECORD_OVERHEAD) ||
            !seal(stream, bytes + *n, chunk)) {
            break;
        }
        *n += chunk;
    }
    if (*n > 0) {
        return TLS_OK;
    }
    if (stream->end == TLS_FAILED) {
        return TLS_FAILED;
    }
    return len == 0 ? TLS_OK : TLS_AGAIN;
}

void tls_stream_set_key_update_after(struct tls_stream *stream, uint64_t num_records) {
    stream->update_after = num_records;
}

void tls_stream_close_notify(struct tls_stream *stream) {
    if (!stream->is_ready || stream->is_closed || stream->end == TLS_FAILED) {
        return;
    }
    stream->is_closed = true;
    if (SSL_shutdown(stream->ssl) < 0) {
        fail_by_library(stream);
    }
}

enum verify_result tls_stream_refusal(const struct tls_stream *stream) {
    return stream->verifier.result;
}

bool tls_stream_was_not_accepted(const struct tls_stream *stream) {
    return stream->verifier.is_not_accepted;
}

const char *tls_stream_error(const struct tls_stream *stream) {
    if (stream->error != NULL) {
        return stream->error;
    }
    return stream->fixed_error != NULL ? stream->fixed_error : "";
}

bool tls_stream_got_alert(const struct tls_stream *stream) {
    return stream->got_alert;
}

const struct peer *tls_stream_peer(const struct tls_stream *stream) {
    // Until the handshake is done the peer has not shown that it holds the key.
    bool is_known = stream->is_ready || stream->verifier.is_not_accepted;
    return is_known ? &stream->verifier.peer : NULL;
}

struct tls_context *tls_stream_context(const struct tls_stream *stream) {
    return stream->context;
}

enum verify_result tls_stream_reverify(const struct tls_stream *stream,
                                       const struct identity *identity, int64_t now,
                                       struct err *err) {
    CHECK(stream->is_ready);
    struct peer again;
    enum verify_result result = tls_verify_chain(&stream->verifier, stream->ssl,
                                                 (struct tls_judge){identity, now}, &again, err);
    ERR_clear_error();
    return result;
}

bool tls_stream_is_resumed(const struct tls_stream *stream) {
    return SSL_session_reused(stream->ssl) == 1;
}

const char *tls_stream_version(const struct tls_stream *stream) {
    return SSL_get_version(stream->ssl);
}

const char *tls_stream_cipher(const struct tls_stream *stream) {
    const SSL_CIPHER *cipher = SSL_get_current_cipher(stream->ssl);
    return cipher == NULL ? "" : SSL_CIPHER_standard_name(cipher);
}

const char *tls_stream_group(const struct tls_stream *stream) {
    const char *name = SSL_get_curve_name(SSL_get_curve_id(stream->ssl));
    return name == NULL ? "" : name;
}
