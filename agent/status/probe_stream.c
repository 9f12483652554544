#include "agent/status/probe_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

enum { WRITE_MAX = 16 << 10 };

struct probe_stream {
    int fd;
    SSL *ssl; // NULL: plain
    bool wants_write;
};

static SSL *make_ssl(int fd) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = context == NULL ? NULL : SSL_new(context);
    SSL_CTX_free(context); // the SSL keeps it
    if (ssl == NULL) {
        return NULL;
    }
    // A probe asks whether the application answers, not who it is; the bytes stay in this host.
    SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
    SSL_set_connect_state(ssl);
    SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}

struct probe_stream *probe_stream_new(int fd, bool with_tls) {
    struct probe_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        return NULL;
    }
    stream->fd = fd;
    stream->ssl = with_tls ? make_ssl(fd) : NULL;
    if (with_tls && stream->ssl == NULL) {
        free(stream);
        return NULL;
    }
    return stream;
}

void probe_stream_free(struct probe_stream *stream) {
    if (stream == NULL) {
        return;
    }
    SSL_free(stream->ssl);
    free(stream);
}

static enum probe_io outcome_plain(struct probe_stream *stream, ssize_t len, bool writes) {
    if (len > 0) {
        return PROBE_IO_OK;
    }
    stream->wants_write = writes;
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        return PROBE_IO_AGAIN;
    }
    return len == 0 && !writes ? PROBE_IO_END : PROBE_IO_FAILED;
}

static enum probe_io outcome_tls(struct probe_stream *stream, int result) {
    if (result > 0) {
        return PROBE_IO_OK;
    }
    int error = SSL_get_error(stream->ssl, result);
    ERR_clear_error();
    stream->wants_write = error == SSL_ERROR_WANT_WRITE;
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        return PROBE_IO_AGAIN;
    }
    return error == SSL_ERROR_ZERO_RETURN ? PROBE_IO_END : PROBE_IO_FAILED;
}

enum probe_io probe_stream_read(struct probe_stream *stream, uint8_t *into, size_t cap,
                                size_t *len) {
    if (stream->ssl != NULL) {
        int result = SSL_read(stream->ssl, into, cap > WRITE_MAX ? WRITE_MAX : (int)cap);
        *len = result > 0 ? (size_t)result : 0;
        return outcome_tls(stream, result);
    }
    ssize_t result = recv(stream->fd, into, cap, MSG_DONTWAIT);
    *len = result > 0 ? (size_t)result : 0;
    return outcome_plain(stream, result, false);
}

enum probe_io probe_stream_write(struct probe_stream *stream, struct span bytes, size_t *len) {
    if (stream->ssl != NULL) {
        int result =
            SSL_write(stream->ssl, bytes.ptr, bytes.len > WRITE_MAX ? WRITE_MAX : (int)bytes.len);
        *len = result > 0 ? (size_t)result : 0;
        return outcome_tls(stream, result);
    }
    ssize_t result = send(stream->fd, bytes.ptr, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    *len = result > 0 ? (size_t)result : 0;
    return outcome_plain(stream, result, true);
}

bool probe_stream_wants_write(const struct probe_stream *stream) {
    return stream->wants_write;
}
