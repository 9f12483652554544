#include "agent/tls/edge_app.h"

#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/nid.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "agent/tls/edge_server.h"
#include "agent/tls/tls_error.h"
#include "agent/tls/tls_foreign.h"
#include "base/clock.h"
#include "certmgr/chain_verify.h"
#include "certmgr/leaf_rules.h"
#include "certmgr/subject.h"
#include "certmgr/svid.h"
#include "certmgr/x509_der.h"

#define CERT_LIST_MAX (64 * 1024)
#define DEPTH_MAX 10

struct app_session {
    const struct edge_app *app;
    const char *server_name; // to verify by; NULL: by address
    struct netaddr addr;     // without a family: none
    enum verify_result result;
    struct err why; // empty: we have not refused
};

static bool is_named(const struct app_session *session, const X509 *cert) {
    const char *name = session->server_name;
    return name != NULL ? leaf_rules_has_dns_name(cert, span_of_text(name))
                        : leaf_rules_has_address(cert, &session->addr);
}

static bool has_subject(const struct edge_app *app, const X509 *cert) {
    bool has = false;
    for (size_t i = 0; i < app->num_subjects && !has; i++) {
        has = subject_matches(cert, &app->subjects[i]);
    }
    return has;
}

// Of a chain that is trusted.
static enum verify_result check_name(struct app_session *session, CRYPTO_BUFFER *leaf) {
    const struct edge_app *app = session->app;
    char text[NETADDR_TEXT_MAX];
    X509 *cert OWNED(X509_free) = x509_der_parse(leaf, &session->why);
    if (cert == NULL) {
        return VERIFY_MALFORMED;
    }
    if (anchors_contain(app->anchors, cert)) {
        return VERIFY_OK;
    }
    if (app->num_subjects > 0 && !has_subject(app, cert)) {
        char subject[SUBJECT_TEXT_MAX];
        subject_format(cert, subject, sizeof(subject));
        (void)ERR_SET(&session->why, ERR_INPUT,
                      "the subject of %s, \"%s\", is none of authorizedSubjects", app->whom,
                      subject);
        return VERIFY_SUBJECT;
    }
    bool name_counts = app->num_subjects == 0 || app->server_name != NULL;
    if (!name_counts || is_named(session, cert)) {
        return VERIFY_OK;
    }
    (void)ERR_SET(&session->why, ERR_INPUT, "the certificate of %s is not for \"%s\"", app->whom,
                  session->server_name != NULL ? session->server_name
                                               : netaddr_format_ip(&session->addr, text));
    return VERIFY_WRONG_NAME;
}

static enum ssl_verify_result_t verify(SSL *ssl, uint8_t *out_alert) {
    struct app_session *session = SSL_get_app_data(ssl);
    const struct edge_app *app = session->app;
    if (app->anchors == NULL) {
        return ssl_verify_ok;
    }
    const STACK_OF(CRYPTO_BUFFER) *presented = SSL_get0_peer_certificates(ssl);
    CRYPTO_BUFFER *chain[SVID_CHAIN_MAX + 1]; // one over the limit is enough to refuse
    size_t num = presented == NULL ? 0 : sk_CRYPTO_BUFFER_num(presented);
    num = num <= SVID_CHAIN_MAX ? num : SVID_CHAIN_MAX + 1;
    for (size_t i = 0; i < num; i++) {
        chain[i] = sk_CRYPTO_BUFFER_value(presented, i);
    }
    struct chain_rules rules = {.anchors = app->anchors, .role = VERIFY_SERVER, .depth = DEPTH_MAX};
    session->result = chain_verify(&rules, chain, num, clock_wall_s(), &session->why);
    if (session->result == VERIFY_OK) {
        session->result = check_name(session, chain[0]);
    }
    ERR_clear_error();
    *out_alert = SSL_AD_BAD_CERTIFICATE;
    return session->result == VERIFY_OK ? ssl_verify_ok : ssl_verify_invalid;
}

static bool set_ciphers(SSL_CTX *ctx, const char *ciphers, struct err *err) {
    if (ciphers != NULL && !SSL_CTX_set_strict_cipher_list(ctx, ciphers)) {
        struct tls_error why;
        tls_error_take(&why, false);
        return ERR_SET(err, ERR_INPUT, "ciphers: %s", why.text);
    }
    const STACK_OF(SSL_CIPHER) *list = SSL_CTX_get_ciphers(ctx);
    for (size_t i = 0; ciphers != NULL && i < sk_SSL_CIPHER_num(list); i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(list, i);
        if (SSL_CIPHER_get_kx_nid(cipher) != NID_kx_ecdhe || !SSL_CIPHER_is_aead(cipher)) {
            return ERR_SET(err, ERR_INPUT, "ciphers: %s is not allowed: only ECDHE with AEAD is",
                           SSL_CIPHER_get_name(cipher));
        }
    }
    return true;
}

bool edge_app_finish(struct edge_app *app, const char *ciphers, struct err *err) {
    ERR_clear_error();
    SSL_CTX *ctx = app->ssl = SSL_CTX_new(TLS_with_buffers_method());
    uint16_t oldest = app->needs_tls_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
    if (ctx == NULL || !SSL_CTX_set_min_proto_version(ctx, oldest)) {
        ERR_clear_error();
        return ERR_NO_MEMORY(err, "preparing TLS");
    }
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(ctx, CERT_LIST_MAX);
    SSL_CTX_set_custom_verify(ctx, SSL_VERIFY_PEER, verify);
    struct span alpn = buf_span(&app->alpn);
    if (alpn.len > 0 && SSL_CTX_set_alpn_protos(ctx, alpn.ptr, alpn.len) != 0) { // zero is success
        ERR_clear_error();
        return ERR_NO_MEMORY(err, "preparing TLS");
    }
    return set_ciphers(ctx, ciphers, err);
}

void edge_app_fini(struct edge_app *app) {
    anchors_free(app->anchors);
    buf_fini(&app->alpn);
    SSL_CTX_free(app->ssl);
    *app = (struct edge_app){0};
}

static const char *finish(void *arg UNUSED, SSL *ssl UNUSED, uint8_t *alert UNUSED) {
    return NULL; // `verify` was asked: a server always has a certificate
}

static const char *refusal(const void *arg) {
    const struct app_session *session = arg;
    return session->why.msg[0] == '\0' ? NULL : session->why.msg;
}

static enum verify_result result(const void *arg) {
    return ((const struct app_session *)arg)->result;
}

static bool offer_alpn(SSL *ssl, struct span alpn) {
    uint8_t list[1 + UINT8_MAX];
    if (alpn.len == 0) {
        return true;
    }
    list[0] = (uint8_t)alpn.len;
    memcpy(list + 1, alpn.ptr, alpn.len);
    return SSL_set_alpn_protos(ssl, list, (unsigned)alpn.len + 1) == 0; // zero is success
}

static bool set_up(SSL *ssl, const struct app_session *session, const struct edge_app_how *how) {
    const struct edge_certificate *own = session->app->own;
    const char *server_name = session->server_name;
    SSL_set_connect_state(ssl);
    if (own != NULL && !SSL_set_chain_and_key(ssl, own->chain, own->num_chain, own->key, NULL)) {
        return false;
    }
    if (own == NULL && how->identity != NULL) {
        size_t num = 0;
        struct svid *svid = identity_svid(how->identity);
        CRYPTO_BUFFER *const *chain = svid_chain(svid, &num);
        if (!SSL_set_chain_and_key(ssl, chain, num, svid_key(svid), NULL)) {
            return false;
        }
    }
    return offer_alpn(ssl, how->alpn) &&
           (server_name == NULL || SSL_set_tlsext_host_name(ssl, server_name));
}

struct tls_stream *edge_app_connect(const struct edge_app *app, const struct edge_app_how *how) {
    struct app_session *session = calloc(1, sizeof(*session));
    if (session == NULL) {
        return NULL;
    }
    session->app = app;
    session->server_name = app->server_name != NULL ? app->server_name : how->host;
    session->addr = how->addr == NULL ? (struct netaddr){0} : *how->addr;
    struct tls_foreign foreign = {.ssl = SSL_new(app->ssl),
                                  .arg = session,
                                  .finish = finish,
                                  .refusal = refusal,
                                  .result = result,
                                  .free = free};
    if (foreign.ssl == NULL || !SSL_set_app_data(foreign.ssl, session) ||
        !set_up(foreign.ssl, session, how)) {
        ERR_clear_error();
        SSL_free(foreign.ssl);
        free(session);
        return NULL;
    }
    return tls_stream_new_foreign(&foreign);
}
