#include "certmgr/tls_client.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/span.h"
#include "certmgr/dial.h"
#include "certmgr/pem.h"
#include "certmgr/resolve.h"
#include "certmgr/x509_der.h"

#define CHAIN_DEPTH_MAX 10

OWN_DEFINE(SSL_CTX, SSL_CTX_free)
OWN_DEFINE(SSL, SSL_free)

bool tls_client_parse_address(const char *address, char host[TLS_CLIENT_HOST_MAX], uint16_t *port,
                              struct err *err) {
    const char *colon = strrchr(address, ':');
    size_t len = colon != NULL ? (size_t)(colon - address) : 0;
    const char *start = address;
    char *end = NULL;
    unsigned long number =
        colon != NULL && colon[1] >= '0' && colon[1] <= '9' ? strtoul(colon + 1, &end, 10) : 0;
    if (len > 2 && address[0] == '[' && address[len - 1] == ']') {
        start++;
        len -= 2;
    } else if (strcspn(address, "[]:") < len) {
        len = 0; // an IPv6 address needs its brackets
    }
    if (len == 0 || len >= TLS_CLIENT_HOST_MAX || number == 0 || number > UINT16_MAX ||
        *end != '\0') {
        return ERR_SET(err, ERR_INPUT, "\"%s\" is not an address like ca.example.org:15012",
                       address);
    }
    memcpy(host, start, len);
    host[len] = '\0';
    *port = (uint16_t)number;
    return true;
}

// --- what TLS is to accept

static bool add_roots(SSL_CTX *ctx, struct span der, struct err *err) {
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    struct span one;
    while (der.len > 0) {
        if (!x509_der_next(&der, &one, err)) {
            return false;
        }
        const uint8_t *at = one.ptr;
        OWNED(X509_free) X509 *cert = d2i_X509(NULL, &at, (long)one.len);
        if (cert == NULL || !X509_STORE_add_cert(store, cert)) {
            return ERR_SET(err, ERR_INPUT, "a root certificate cannot be used");
        }
    }
    return true;
}

static bool load_roots(SSL_CTX *ctx, const struct tls_client_options *options, struct err *err) {
    const char *path = options->roots_file;
    if (options->roots.len > 0) {
        return add_roots(ctx, options->roots, err);
    }
    struct buf text __attribute__((cleanup(buf_fini))) = {0};
    struct buf der __attribute__((cleanup(buf_fini))) = {0};
    return file_read(path, PEM_INPUT_MAX, &text, err) &&
           pem_parse_certificates(buf_span(&text), path, &der, err) &&
           add_roots(ctx, buf_span(&der), err);
}

static SSL_CTX *make_context(const struct tls_client_options *options, struct err *err) {
    static const uint8_t h2[] = {2, 'h', '2'};
    static const uint8_t http1[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    const uint8_t *protocols = options->http1 ? http1 : h2;
    size_t protocols_len = options->http1 ? sizeof(http1) : sizeof(h2);
    OWNED(SSL_CTX_free) SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    if (ctx == NULL || !SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) ||
        SSL_CTX_set_alpn_protos(ctx, protocols, protocols_len) != 0) {
        ERR_NO_MEMORY(err, "preparing TLS");
        return NULL;
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_max_cert_list(ctx, TLS_CLIENT_CHAIN_MAX);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    return load_roots(ctx, options, err) ? take(&ctx) : NULL;
}

static bool set_name(SSL *ssl, const char *name) {
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    struct netaddr ip;
    X509_VERIFY_PARAM_set_depth(param, CHAIN_DEPTH_MAX);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (netaddr_parse_ip(&ip, span_of_text(name), NULL)) { // RFC 6066: never in the server name
        return X509_VERIFY_PARAM_set1_ip(param, ip.ip, ip.family == NETADDR_V4 ? 4 : 16) == 1;
    }
    return X509_VERIFY_PARAM_set1_host(param, name, strlen(name)) == 1 &&
           SSL_set_tlsext_host_name(ssl, name) == 1;
}

static SSL *make_ssl(const struct tls_client_options *options, const char *name, struct err *err) {
    OWNED(SSL_CTX_free) SSL_CTX *ctx = make_context(options, err);
    if (ctx == NULL) {
        return NULL;
    }
    OWNED(SSL_free) SSL *ssl = SSL_new(ctx);
    if (ssl == NULL || !set_name(ssl, name)) {
        ERR_SET(err, ERR_INPUT, "\"%s\" cannot be a server's name", name);
        return NULL;
    }
    SSL_set_connect_state(ssl);
    return take(&ssl);
}

// --- the handshake

static void explain(const struct tls_client_options *options, const char *name,
                    const struct tls_pump *pump, struct err *err) {
    long verdict = SSL_get_verify_result(tls_pump_ssl(pump));
    // Not OK before the certificate has been looked at, either.
    if (verdict == X509_V_OK || verdict == X509_V_ERR_INVALID_CALL) {
        ERR_SET(err, ERR_ENVIRONMENT, "the TLS handshake with %s failed: %s", options->address,
                tls_pump_error(pump));
    } else if (verdict == X509_V_ERR_HOSTNAME_MISMATCH ||
               verdict == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        ERR_SET(err, ERR_INPUT,
                "the certificate of %s is not for the name \"%s\"; "
                "is the server name right?",
                options->address, name);
    } else {
        ERR_SET(err, ERR_INPUT, "the certificate of %s is not trusted by the roots in %s: %s",
                options->address, options->roots_file, X509_verify_cert_error_string(verdict));
    }
}

static bool shake_hands(struct tls_pump *pump, const struct tls_client_options *options,
                        const char *name, const struct patience *patience, struct err *err) {
    enum tls_pump_state state;
    while ((state = tls_pump_step(pump)) == TLS_PUMP_HANDSHAKE) {
        struct pollfd fds[TLS_PUMP_FDS];
        tls_pump_arm(pump, fds);
        switch (patience_poll(patience, fds, TLS_PUMP_FDS, -1)) {
        case PATIENCE_READY:
            break;
        case PATIENCE_TIMEOUT:
            return ERR_SET(err, ERR_ENVIRONMENT,
                           "%s accepted the connection and did not finish the TLS handshake",
                           options->address);
        case PATIENCE_CANCELLED:
            return ERR_SET(err, ERR_ENVIRONMENT, "stopped during the TLS handshake");
        }
    }
    if (state == TLS_PUMP_ENDED) {
        explain(options, name, pump, err);
    }
    return state == TLS_PUMP_OPEN;
}

struct tls_pump *tls_client_connect(const struct tls_client_options *options,
                                    const struct patience *patience, struct err *err) {
    char host[TLS_CLIENT_HOST_MAX];
    uint16_t port = 0;
    struct resolve_result to;
    if (!tls_client_parse_address(options->address, host, &port, err)) {
        return NULL;
    }
    const char *name = options->server_name != NULL ? options->server_name : host;
    OWNED(SSL_free) SSL *ssl = make_ssl(options, name, err);
    if (ssl == NULL || !resolve_host(host, port, patience, &to, err)) {
        ERR_clear_error();
        return NULL;
    }
    int fd = dial_any(&to, patience, err);
    if (fd < 0) {
        return NULL;
    }
    OWNED(tls_pump_free) struct tls_pump *pump = tls_pump_new(take(&ssl), fd);
    if (pump == NULL) {
        ERR_NO_MEMORY(err, "connecting");
        return NULL;
    }
    if (options->http1) {
        tls_pump_demand(pump, "");
    }
    return shake_hands(pump, options, name, patience, err) ? take(&pump) : NULL;
}
