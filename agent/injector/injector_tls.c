#include "agent/injector/injector_tls.h"

#include <limits.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

struct injector_tls {
    SSL_CTX *context;
    SSL *ssl;
};

static bool fail(struct err *err, const char *what) {
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    ERR_clear_error();
    return ERR_SET(err, ERR_INPUT, "%s: %s", what, reason == NULL ? "it ended" : reason);
}

static SSL_CTX *make_context(const char *certificate, const char *key, struct err *err) {
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    bool ok = context != NULL || ERR_NO_MEMORY(err, "reading the certificate");
    ok =
        ok && (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 || fail(err, "TLS 1.2"));
    ok = ok &&
         (SSL_CTX_use_certificate_chain_file(context, certificate) == 1 || fail(err, certificate));
    ok = ok && (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1 || fail(err, key));
    ok = ok && (SSL_CTX_check_private_key(context) == 1 || fail(err, key));
    if (!ok) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

bool injector_tls_check(const char *certificate, const char *key, struct err *err) {
    SSL_CTX *context = make_context(certificate, key, err);
    SSL_CTX_free(context);
    return context != NULL;
}

struct injector_tls *injector_tls_accept(int fd, const char *certificate, const char *key,
                                         struct err *err) {
    struct injector_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL) {
        (void)ERR_NO_MEMORY(err, "accepting a connection");
        return NULL;
    }
    tls->context = make_context(certificate, key, err);
    tls->ssl = tls->context == NULL ? NULL : SSL_new(tls->context);
    if (tls->ssl == NULL || SSL_set_fd(tls->ssl, fd) != 1 || SSL_accept(tls->ssl) != 1) {
        if (tls->context != NULL) {
            (void)fail(err, "TLS handshake");
        }
        injector_tls_free(tls);
        return NULL;
    }
    return tls;
}

void injector_tls_free(struct injector_tls *tls) {
    if (tls == NULL) {
        return;
    }
    if (tls->ssl != NULL) {
        (void)SSL_shutdown(tls->ssl);
        ERR_clear_error();
    }
    SSL_free(tls->ssl);
    SSL_CTX_free(tls->context);
    free(tls);
}

size_t injector_tls_read(struct injector_tls *tls, uint8_t *into, size_t cap) {
    int len = SSL_read(tls->ssl, into, cap > INT_MAX ? INT_MAX : (int)cap);
    ERR_clear_error();
    return len > 0 ? (size_t)len : 0;
}

bool injector_tls_write(struct injector_tls *tls, struct span bytes) {
    while (bytes.len > 0) {
        int len = SSL_write(tls->ssl, bytes.ptr, bytes.len > INT_MAX ? INT_MAX : (int)bytes.len);
        if (len <= 0) {
            ERR_clear_error();
            return false;
        }
        bytes = span_after(bytes, (size_t)len);
    }
    return true;
}
