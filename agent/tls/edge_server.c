#include "agent/tls/edge_server.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "agent/tls/edge_session.h"
#include "agent/tls/tls_error.h"

#define CERT_LIST_MAX (64 * 1024)

// Forward secrecy and AEAD. BoringSSL fixes the TLS 1.3 suites by itself.
static const char ciphers_12[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                 "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                 "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

static const uint16_t suites_13[] = {0x1301, 0x1302, 0x1303};

uint16_t edge_server_suite(const char *name) {
    for (size_t i = 0; i < sizeof(suites_13) / sizeof(suites_13[0]); i++) {
        const SSL_CIPHER *cipher = SSL_get_cipher_by_value(suites_13[i]);
        if (cipher != NULL && strcmp(SSL_CIPHER_standard_name(cipher), name) == 0) {
            return suites_13[i];
        }
    }
    return 0;
}

static int select_alpn(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in,
                       unsigned in_len, void *arg) {
    (void)ssl;
    const struct edge_server *server = arg;
    struct span own = buf_span(&server->alpn);
    uint8_t *selected = NULL;
    if (own.len == 0) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    if (SSL_select_next_proto(&selected, out_len, own.ptr, (unsigned)own.len, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL; // another protocol's client must not be let in (ALPACA)
    }
    *out = selected;
    return SSL_TLSEXT_ERR_OK;
}

static bool check_ciphers(const SSL_CTX *ctx, struct err *err) {
    const STACK_OF(SSL_CIPHER) *list = SSL_CTX_get_ciphers(ctx);
    for (size_t i = 0; i < sk_SSL_CIPHER_num(list); i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(list, i);
        if (SSL_CIPHER_get_kx_nid(cipher) != NID_kx_ecdhe || !SSL_CIPHER_is_aead(cipher)) {
            return ERR_SET(err, ERR_INPUT, "ciphers: %s is not allowed: only ECDHE with AEAD is",
                           SSL_CIPHER_get_name(cipher));
        }
    }
    return true;
}

// Tickets only, whose keys are BoringSSL's: made for this SSL_CTX, so for one port of one loaded
// configuration, and gone with it. What else a session is good for is said per connection, when
// the ClientHello is known (edge_session.c).
static void set_resumption(SSL_CTX *ctx, const struct edge_server *server) {
    static const uint8_t session_context[] = "edge";
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_early_data_enabled(ctx, 0);
    SSL_CTX_set_session_id_context(ctx, session_context, sizeof(session_context));
    SSL_CTX_set_timeout(ctx, EDGE_SESSION_LIFETIME_S);
    SSL_CTX_set_session_psk_dhe_timeout(ctx, EDGE_SESSION_LIFETIME_S);
    if (!server->resumes) {
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    }
}

static void set_up(SSL_CTX *ctx, struct edge_server *server) {
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    set_resumption(ctx, server);
    SSL_CTX_set_max_cert_list(ctx, CERT_LIST_MAX);
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, server);
    SSL_CTX_set_select_certificate_cb(ctx, edge_session_on_client_hello);
}

// Whose certificates the lists take, so that a client with several finds the one. What is too long
// is not named at all: an empty list says "any" (RFC 8446 section 4.2.4), half of one would lie.
static STACK_OF(CRYPTO_BUFFER) * issuers_of(const struct edge_rules *rules) {
    STACK_OF(CRYPTO_BUFFER) *issuers = sk_CRYPTO_BUFFER_new_null();
    if (issuers == NULL || !anchors_add_issuers(rules->clients, issuers) ||
        !anchors_add_issuers(rules->peers, issuers)) {
        sk_CRYPTO_BUFFER_pop_free(issuers, CRYPTO_BUFFER_free);
        return NULL;
    }
    size_t len = 0;
    for (size_t i = 0; i < sk_CRYPTO_BUFFER_num(issuers); i++) {
        len += CRYPTO_BUFFER_len(sk_CRYPTO_BUFFER_value(issuers, i));
    }
    while (len > EDGE_ISSUERS_MAX && sk_CRYPTO_BUFFER_num(issuers) > 0) {
        CRYPTO_BUFFER_free(sk_CRYPTO_BUFFER_pop(issuers));
    }
    return issuers;
}

static bool name_issuers(struct edge_server *server) {
    STACK_OF(CRYPTO_BUFFER) *issuers = issuers_of(&server->rules);
    bool ok = issuers != NULL;
    if (ok) {
        SSL_CTX_set0_client_CAs(server->ssl, issuers);
    }
    for (size_t i = 0; ok && i < server->num_certificates; i++) {
        struct edge_certificate *cert = &server->certificates[i];
        if (cert->own_clients != NULL) {
            cert->issuers = issuers_of(&cert->rules);
            ok = cert->issuers != NULL;
        }
    }
    return ok;
}

bool edge_server_finish(struct edge_server *server, const char *ciphers, struct err *err) {
    ERR_clear_error();
    SSL_CTX *ctx = server->ssl = SSL_CTX_new(TLS_with_buffers_method());
    if (ctx == NULL || !SSL_CTX_set1_groups_list(ctx, "X25519Kyber:X25519:P-256:P-384")) {
        ERR_clear_error();
        return ERR_NO_MEMORY(err, "preparing TLS");
    }
    set_up(ctx, server);
    if (!name_issuers(server)) {
        ERR_clear_error();
        return ERR_NO_MEMORY(err, "preparing TLS");
    }
    if (!SSL_CTX_set_strict_cipher_list(ctx, ciphers == NULL ? ciphers_12 : ciphers)) {
        struct tls_error why;
        tls_error_take(&why, false);
        return ERR_SET(err, ERR_INPUT, "ciphers: %s", why.text);
    }
    return check_ciphers(ctx, err);
}

void edge_certificate_fini(struct edge_certificate *cert) {
    for (size_t i = 0; i < cert->num_server_names; i++) {
        free(cert->server_names[i]);
    }
    free(cert->server_names);
    for (size_t i = 0; i < cert->num_chain; i++) {
        CRYPTO_BUFFER_free(cert->chain[i]);
    }
    free(cert->chain);
    EVP_PKEY_free(cert->key);
    buf_fini(&cert->staple);
    anchors_free(cert->own_clients);
    sk_CRYPTO_BUFFER_pop_free(cert->issuers, CRYPTO_BUFFER_free);
}

void edge_server_fini(struct edge_server *server) {
    for (size_t i = 0; i < server->num_certificates; i++) {
        edge_certificate_fini(&server->certificates[i]);
    }
    free(server->certificates);
    anchors_free(server->clients);
    anchors_free(server->peers);
    buf_fini(&server->alpn);
    SSL_CTX_free(server->ssl);
    *server = (struct edge_server){0};
}

// --- by name

enum match { MATCH_NONE, MATCH_ANY, MATCH_WILDCARD, MATCH_EXACT };

static enum match match_pattern(const char *pattern, const char *name) {
    if (strcmp(pattern, "*") == 0) {
        return MATCH_ANY;
    }
    if (pattern[0] != '*') {
        return strcasecmp(pattern, name) == 0 ? MATCH_EXACT : MATCH_NONE;
    }
    const char *dot = strchr(name, '.'); // one label, and not an empty one
    return dot != NULL && dot != name && strcasecmp(pattern + 1, dot) == 0 ? MATCH_WILDCARD
                                                                           : MATCH_NONE;
}

static enum match match_certificate(const struct edge_certificate *cert, const char *name) {
    enum match best = MATCH_NONE;
    for (size_t i = 0; i < cert->num_server_names; i++) {
        enum match match = match_pattern(cert->server_names[i], name);
        best = match > best ? match : best;
    }
    return best;
}

static bool takes_key(const struct client_hello *hello, enum edge_key kind) {
    switch (kind) {
    case EDGE_KEY_RSA:
        return hello->takes_rsa;
    case EDGE_KEY_P256:
        return hello->takes_ecdsa_256;
    case EDGE_KEY_P384:
        return hello->takes_ecdsa_384;
    }
    return false;
}

// Of two certificates for a name the one that the client can use wins, ECDSA before RSA.
static int rank(const struct edge_certificate *cert, const struct client_hello *hello,
                const char *name) {
    enum match match = match_certificate(cert, name);
    if (match == MATCH_NONE) {
        return 0;
    }
    bool usable = takes_key(hello, cert->kind);
    return (int)match * 4 + (usable ? 2 : 0) + (cert->kind != EDGE_KEY_RSA ? 1 : 0);
}

static const struct edge_certificate *choose_by_name(const struct edge_server *server,
                                                     const struct client_hello *hello,
                                                     const char *name) {
    const struct edge_certificate *best = NULL;
    int best_rank = 0;
    for (size_t i = 0; i < server->num_certificates; i++) {
        int here = rank(&server->certificates[i], hello, name);
        if (here > best_rank) {
            best = &server->certificates[i];
            best_rank = here;
        }
    }
    return best;
}

const struct edge_certificate *edge_server_choose(const struct edge_server *server,
                                                  const struct client_hello *hello,
                                                  const char **why) {
    const char *name = hello->server_name[0] != '\0' ? hello->server_name : server->fallback_name;
    if (name == NULL) {
        *why = "failed to find SNI: the client names no server, and fallbackServerName is not set";
        return server->num_certificates == 1 ? &server->certificates[0] : NULL;
    }
    *why = "failed to match any SSL certificate by SNI";
    return choose_by_name(server, hello, name);
}
