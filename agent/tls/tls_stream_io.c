// The handshake, and the bytes after it: through our record layer, or through the library where it
// has kept the records.
#include <limits.h>
#include <string.h>

#include <openssl/err.h>

#include "agent/tls/tls_stream_internal.h"
#include "base/check.h"

#define RECORD_HEADER 5
// What one record may add to its plaintext: header, tag and content type, and in front of it two
// key updates, one of ours and one that answers the peer's.
#define RECORD_OVERHEAD 128

// ---- handshake --------------------------------------------------------------------------------

static enum tls_status refuse(struct tls_stream *stream, uint8_t alert, const char *sentence) {
    SSL_send_fatal_alert(stream->ssl, alert);
    ERR_clear_error();
    return tls_stream_fail(stream, sentence);
}

static bool has_h2(const struct tls_stream *stream) {
    const uint8_t *protocol = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(stream->ssl, &protocol, &len);
    return span_equal_text(span_of(protocol, len), "h2");
}

static CRYPTO_BUFFER *share(const CRYPTO_BUFFER *certificate) {
    CRYPTO_BUFFER *shared = (CRYPTO_BUFFER *)(uintptr_t)certificate;
    CRYPTO_BUFFER_up_ref(shared);
    return shared;
}

// What is asked about the connection later, when the SSL may be gone. False: memory is short.
static bool note_facts(struct tls_stream *stream) {
    const SSL *ssl = stream->ssl;
    const char *group = SSL_get_curve_name(SSL_get_curve_id(ssl));
    stream->is_resumed = SSL_session_reused(ssl) == 1;
    stream->version = SSL_get_version(ssl);
    stream->cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl));
    stream->group = group == NULL ? "" : group;
    const STACK_OF(CRYPTO_BUFFER) *chain = SSL_get0_peer_certificates(ssl);
    if (chain != NULL) {
        stream->chain = sk_CRYPTO_BUFFER_deep_copy(chain, share, CRYPTO_BUFFER_free);
    }
    return chain == NULL || stream->chain != NULL;
}

static enum tls_status become_ready(struct tls_stream *stream) {
    if (!note_facts(stream)) {
        return tls_stream_fail_by_library(stream);
    }
    stream->is_ready = true;
    return TLS_OK;
}

static enum tls_status finish_foreign(struct tls_stream *stream) {
    uint8_t alert = SSL_AD_INTERNAL_ERROR;
    const char *why = stream->foreign.finish(stream->foreign.arg, stream->ssl, &alert);
    return why == NULL ? become_ready(stream) : refuse(stream, alert, why);
}

// Nothing is read or written before this has said yes.
static enum tls_status finish_handshake(struct tls_stream *stream) {
    uint8_t alert = SSL_AD_CERTIFICATE_REQUIRED;
    if (stream->use == TLS_FOREIGN) {
        return finish_foreign(stream);
    }
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
    return become_ready(stream);
}

enum tls_status tls_stream_handshake(struct tls_stream *stream) {
    if (stream->is_ready || stream->end != TLS_OK) {
        return stream->is_ready ? TLS_OK : stream->end;
    }
    int returned = SSL_do_handshake(stream->ssl);
    return returned == 1 ? finish_handshake(stream) : tls_stream_judge(stream, returned);
}

// ---- reading ----------------------------------------------------------------------------------

// Records are taken one at a time from what was fed, so at the end of one the next one's header is
// in sight.
static bool next_record_fits(const struct tls_stream *stream, size_t room) {
    if (room >= TLS_RECORD_PLAIN_MAX) {
        return true;
    }
    bool is_inside = stream->rest.len > 0 || (stream->ssl != NULL && SSL_pending(stream->ssl) > 0);
    if (is_inside || stream->bio.fed.len < RECORD_HEADER) {
        return false;
    }
    const uint8_t *header = stream->bio.fed.ptr;
    return room >= ((size_t)header[3] << 8 | header[4]);
}

static enum tls_status read_library(struct tls_stream *stream, struct iovec room, size_t *got) {
    int cap = room.iov_len < INT_MAX ? (int)room.iov_len : INT_MAX;
    int returned = SSL_read(stream->ssl, room.iov_base, cap);
    if (returned <= 0) {
        return tls_stream_judge(stream, returned);
    }
    *got = (size_t)returned;
    return TLS_OK;
}

static void read_rest(struct tls_stream *stream, struct iovec room, size_t *got) {
    *got = stream->rest.len < room.iov_len ? stream->rest.len : room.iov_len;
    memcpy(room.iov_base, buf_span(&stream->rest).ptr, *got);
    buf_consume(&stream->rest, *got);
}

static enum tls_status read_record(struct tls_stream *stream, struct iovec room, size_t *got) {
    if (stream->rest.len > 0) {
        read_rest(stream, room, got);
        return TLS_OK;
    }
    struct span plain = {0};
    enum tls_record_status status = tls_record_read(stream->record, &plain);
    if (status != TLS_RECORD_OK) {
        return tls_stream_judge_record(stream, status);
    }
    *got = plain.len < room.iov_len ? plain.len : room.iov_len;
    memcpy(room.iov_base, plain.ptr, *got);
    if (plain.len > *got && !buf_append(&stream->rest, plain.ptr + *got, plain.len - *got)) {
        return tls_stream_fail_by_memory(stream);
    }
    return TLS_OK;
}

enum tls_status tls_stream_read(struct tls_stream *stream, uint8_t *out, size_t cap, size_t *n) {
    CHECK(stream->is_ready && cap > 0);
    uint8_t *to = out;
    *n = 0;
    enum tls_status status =
        stream->end != TLS_OK || tls_stream_settle(stream) ? stream->end : TLS_FAILED;
    while (status == TLS_OK && (*n == 0 || next_record_fits(stream, cap - *n))) {
        struct iovec room = {.iov_base = to + *n, .iov_len = cap - *n};
        size_t got = 0;
        status = stream->record != NULL ? read_record(stream, room, &got)
                                        : read_library(stream, room, &got);
        *n += got;
    }
    return *n > 0 ? TLS_OK : status;
}

static void add_run(struct tls_runs *runs, struct iovec run) {
    runs->run[runs->num++] = run;
    runs->len += run.iov_len;
}

static enum tls_status read_in_place(struct tls_stream *stream, struct tls_runs *out) {
    enum tls_record_status status = TLS_RECORD_OK;
    while (status == TLS_RECORD_OK && out->num < TLS_MAX_RUNS) {
        struct span plain = {0};
        status = tls_record_read(stream->record, &plain);
        if (status == TLS_RECORD_OK) {
            add_run(out, (struct iovec){(void *)(uintptr_t)plain.ptr, plain.len});
        }
    }
    // Whatever ended the loop is found again by the next read.
    return out->num > 0 ? TLS_OK : tls_stream_judge_record(stream, status);
}

enum tls_status tls_stream_read_runs(struct tls_stream *stream, struct iovec room,
                                     struct tls_runs *out) {
    CHECK(stream->is_ready && room.iov_len >= TLS_RECORD_PLAIN_MAX);
    out->num = 0;
    out->len = 0;
    if (stream->end != TLS_OK || !tls_stream_settle(stream)) {
        return stream->end;
    }
    if (stream->record != NULL && stream->rest.len == 0) {
        return read_in_place(stream, out);
    }
    struct iovec run = {.iov_base = room.iov_base};
    enum tls_status status = tls_stream_read(stream, room.iov_base, room.iov_len, &run.iov_len);
    if (status == TLS_OK) {
        add_run(out, run);
    }
    return status;
}

// ---- writing ----------------------------------------------------------------------------------

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
    if (stream->record != NULL) {
        enum tls_record_status status = tls_record_write(stream->record, span_of(bytes, len));
        return tls_stream_judge_record(stream, status) == TLS_OK;
    }
    if (!update_key(stream) || SSL_write(stream->ssl, bytes, (int)len) != (int)len) {
        tls_stream_fail_by_library(stream);
        return false;
    }
    stream->num_sealed++;
    return true;
}

enum tls_status tls_stream_write(struct tls_stream *stream, const uint8_t *bytes, size_t len,
                                 size_t *n) {
    CHECK(stream->is_ready && !stream->is_closed);
    *n = 0;
    if (stream->end == TLS_FAILED || !tls_stream_settle(stream)) {
        return TLS_FAILED;
    }
    while (*n < len) {
        size_t chunk = len - *n < TLS_RECORD_PLAIN_MAX ? len - *n : TLS_RECORD_PLAIN_MAX;
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
    if (stream->record != NULL) {
        tls_record_set_update_after(stream->record, num_records);
    }
}

void tls_stream_keep_library(struct tls_stream *stream) {
    CHECK(!stream->is_settled);
    stream->keeps_library = true;
}

void tls_stream_close_notify(struct tls_stream *stream) {
    if (!stream->is_ready || stream->is_closed || stream->end == TLS_FAILED ||
        !tls_stream_settle(stream)) {
        return;
    }
    stream->is_closed = true;
    if (stream->record != NULL) {
        (void)tls_stream_judge_record(stream, tls_record_close(stream->record));
    } else if (SSL_shutdown(stream->ssl) < 0) {
        tls_stream_fail_by_library(stream);
    }
}
