// How a stream ends, and the sentence about it.
#include <stdlib.h>
#include <string.h>

#include "agent/tls/tls_error.h"
#include "agent/tls/tls_stream_internal.h"

enum tls_status tls_stream_fail(struct tls_stream *stream, const char *sentence) {
    stream->end = TLS_FAILED;
    stream->fixed_error = "TLS failed, and memory is too short to say why";
    free(stream->error);
    stream->error = strdup(sentence);
    return TLS_FAILED;
}

enum tls_status tls_stream_fail_by_memory(struct tls_stream *stream) {
    stream->end = TLS_FAILED;
    stream->fixed_error = "cannot allocate memory for bytes to send";
    return TLS_FAILED;
}

// A refusal by our own verifier says it better than the queue.
enum tls_status tls_stream_fail_by_library(struct tls_stream *stream) {
    struct tls_error why;
    tls_error_take(&why, !stream->is_ready);
    if (stream->bio.is_out_of_memory) {
        return tls_stream_fail_by_memory(stream);
    }
    stream->got_alert = why.is_alert;
    struct tls_verifier *verifier = &stream->verifier;
    if (why.is_no_certificate) {
        verifier->result = VERIFY_NO_CERTIFICATE;
    }
    const struct tls_foreign *foreign = &stream->foreign;
    const char *ours =
        stream->use == TLS_FOREIGN ? foreign->refusal(foreign->arg) : verifier->detail;
    return tls_stream_fail(stream, ours != NULL ? ours : why.text);
}

static enum tls_status end_truncated(struct tls_stream *stream) {
    stream->fixed_error = stream->is_ready ? "the connection ended without close_notify"
                                           : "the peer closed the connection during the handshake";
    return stream->end = TLS_TRUNCATED;
}

// SSL_get_error reads the thread's error queue: nothing of the library may come in between.
enum tls_status tls_stream_judge(struct tls_stream *stream, int returned) {
    int code = SSL_get_error(stream->ssl, returned);
    if (code == SSL_ERROR_WANT_READ) {
        return TLS_AGAIN;
    }
    if (code == SSL_ERROR_ZERO_RETURN) {
        return stream->is_ready
                   ? (stream->end = TLS_EOF)
                   : tls_stream_fail(stream, "the peer sent close_notify during the handshake");
    }
    if (code == SSL_ERROR_SYSCALL && stream->bio.saw_end) {
        return end_truncated(stream);
    }
    return tls_stream_fail_by_library(stream);
}

static enum tls_status fail_by_record(struct tls_stream *stream) {
    struct tls_record_failure why = tls_record_why(stream->record);
    if (why.sentence != NULL) {
        return tls_stream_fail(stream, why.sentence);
    }
    struct tls_error error;
    tls_error_of_alert(&error, why.alert);
    stream->got_alert = true;
    return tls_stream_fail(stream, error.text);
}

enum tls_status tls_stream_judge_record(struct tls_stream *stream, enum tls_record_status status) {
    switch (status) {
    case TLS_RECORD_OK:
        return TLS_OK;
    case TLS_RECORD_AGAIN:
        return stream->bio.input_ended ? end_truncated(stream) : TLS_AGAIN;
    case TLS_RECORD_EOF:
        return stream->end = TLS_EOF;
    case TLS_RECORD_FAILED:
        return fail_by_record(stream);
    case TLS_RECORD_NO_MEMORY:
        break;
    }
    return tls_stream_fail_by_memory(stream);
}
