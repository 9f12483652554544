#include "agent/tls/edge_session.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "agent/tls/edge_resume.h"
#include "agent/tls/tls_foreign.h"
#include "agent/tls/tls_verify.h"
#include "base/clock.h"
#include "base/text.h"
#include "certmgr/chain_verify.h"
#include "certmgr/svid.h"
#include "certmgr/verify_cache.h"
#include "certmgr/x509_der.h"

struct edge_session {
    const struct edge_server *server;
    const struct edge_staples *staples;
    struct identity *identity; // NULL: none
    const struct edge_rules *rules;
    char server_name[SERVER_NAME_MAX + 1];
    struct edge_client client;
    uint8_t alpn[UINT8_MAX];
    size_t alpn_len;
    struct err why; // empty: we have not refused
};

static void session_free(void *arg) {
    struct edge_session *session = arg;
    identity_unref(session->identity);
    free(session);
}

static const char *refusal(const void *arg) {
    const struct edge_session *session = arg;
    return session->why.msg[0] == '\0' ? NULL : session->why.msg;
}

// --- the client's certificate

static void read_facts(struct edge_client *client, CRYPTO_BUFFER *leaf) {
    X509 *cert OWNED(X509_free) = x509_der_parse(leaf, NULL);
    client->is_presented = true;
    if (cert == NULL) {
        return;
    }
    subject_format(cert, client->subject, sizeof(client->subject));
    subject_common_name(cert, client->common_name, sizeof(client->common_name));
    if (!x509_der_serial(cert, client->peer.serial, sizeof(client->peer.serial)) ||
        !x509_der_not_after(cert, &client->peer.not_after)) {
        client->peer.serial[0] = '\0';
    }
}

static bool is_authorized(const struct edge_rules *rules, CRYPTO_BUFFER *leaf) {
    X509 *cert OWNED(X509_free) = x509_der_parse(leaf, NULL);
    for (size_t i = 0; cert != NULL && i < rules->num_subjects; i++) {
        const struct subject_rule *rule = &rules->subjects[i];
        if (rules->full_subject ? subject_matches(cert, rule) : subject_has_name(cert, rule->cn)) {
            return true;
        }
    }
    return false;
}

struct presented {
    CRYPTO_BUFFER *chain[SVID_CHAIN_MAX + 1]; // one over the limit is enough to refuse
    size_t num;
};

static void collect(const SSL *ssl, struct presented *out) {
    const STACK_OF(CRYPTO_BUFFER) *chain = SSL_get0_peer_certificates(ssl);
    size_t num = chain == NULL ? 0 : sk_CRYPTO_BUFFER_num(chain);
    out->num = num <= SVID_CHAIN_MAX ? num : SVID_CHAIN_MAX + 1;
    for (size_t i = 0; i < out->num; i++) {
        out->chain[i] = sk_CRYPTO_BUFFER_value(chain, i);
    }
}

static enum verify_result judge_by(const struct edge_rules *rules, const struct anchors *anchors,
                                   const struct presented *presented, struct err *err) {
    struct chain_rules question = {
        .anchors = anchors,
        .role = VERIFY_CLIENT,
        .depth = rules->depth,
        .allow_outdated = rules->allow_outdated,
        .allow_weak = rules->allow_weak,
    };
    return chain_verify(&question, presented->chain, presented->num, clock_wall_s(), err);
}

// A certificate of a client of its own in the list switches subjects off for all of it.
static enum verify_result judge_client(const struct edge_rules *rules,
                                       const struct presented *presented, struct err *err) {
    enum verify_result result = judge_by(rules, rules->clients, presented, err);
    if (result != VERIFY_OK || rules->num_subjects == 0 || anchors_has_leaf(rules->clients) ||
        is_authorized(rules, presented->chain[0])) {
        return result;
    }
    (void)ERR_SET(err, ERR_INPUT, "%s", verify_result_sentence(VERIFY_SUBJECT));
    return VERIFY_SUBJECT;
}

static enum verify_result judge_by_lists(const struct edge_rules *rules,
                                         const struct presented *presented, struct err *err) {
    enum verify_result result = VERIFY_UNTRUSTED;
    if (rules->clients != NULL) {
        result = judge_client(rules, presented, err);
    }
    if (result == VERIFY_OK || rules->peers == NULL) {
        return result;
    }
    struct err other = {0};
    enum verify_result as_peer = judge_by(rules, rules->peers, presented, &other);
    if (as_peer == VERIFY_OK || rules->clients == NULL ||
        (result == VERIFY_UNTRUSTED && as_peer != VERIFY_UNTRUSTED)) {
        *err = other; // the list that the certificate came nearer to says why
        result = as_peer;
    }
    return result;
}

static enum verify_result judge_by_spiffe(struct edge_session *session,
                                          const struct presented *presented) {
    if (session->identity == NULL) {
        return VERIFY_UNKNOWN_TRUST_DOMAIN;
    }
    struct verify_question question = {
        .chain = presented->chain,
        .num_chain = presented->num,
        .role = VERIFY_CLIENT,
        .trust_domain = identity_trust_domain(session->identity),
        .now = clock_wall_s(),
    };
    return verify_cache_ask(identity_verify_cache(session->identity), &question,
                            &session->client.peer, &session->why);
}

// However often tickets are renewed, after this time the client proves its key again.
static void limit_session(SSL *ssl) {
    if (!SSL_session_reused(ssl)) {
        SSL_SESSION_set_timeout(SSL_get_session(ssl), EDGE_SESSION_LIFETIME_S);
    }
}

static enum ssl_verify_result_t verify(SSL *ssl, uint8_t *out_alert) {
    struct edge_session *session = SSL_get_app_data(ssl);
    struct presented presented;
    collect(ssl, &presented);
    if (presented.num == 0) { // BoringSSL asks only where there is one
        *out_alert = SSL_AD_CERTIFICATE_REQUIRED;
        return ssl_verify_invalid;
    }
    limit_session(ssl);
    read_facts(&session->client, presented.chain[0]);
    enum verify_result result = session->rules->by_spiffe
                                    ? judge_by_spiffe(session, &presented)
                                    : judge_by_lists(session->rules, &presented, &session->why);
    session->client.result = result;
    session->client.is_verified = result == VERIFY_OK;
    ERR_clear_error();
    if (result == VERIFY_OK) {
        session->why = (struct err){0};
        return ssl_verify_ok;
    }
    if (session->why.msg[0] == '\0') {
        (void)ERR_SET(&session->why, ERR_INPUT, "%s", verify_result_sentence(result));
    }
    *out_alert = tls_verify_alert(result);
    return session->rules->answers_http ? ssl_verify_ok : ssl_verify_invalid;
}

// --- the ClientHello

static int verify_mode(const struct edge_rules *rules) {
    switch (rules->auth) {
    case EDGE_AUTH_NONE:
        return SSL_VERIFY_NONE;
    case EDGE_AUTH_OPTIONAL:
        return SSL_VERIFY_PEER;
    case EDGE_AUTH_REQUIRED:
        break;
    }
    return SSL_VERIFY_PEER | (rules->answers_http ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
}

// What is past its time is withheld: a client may refuse an old answer, and none is no fault.
static bool use_staple(SSL *ssl, const struct edge_staples *staples,
                       const struct edge_certificate *cert) {
    int64_t now = clock_wall_s();
    const CRYPTO_BUFFER *asked = edge_staples_find(staples, cert->staple_slot, now);
    if (asked != NULL) {
        return SSL_set_ocsp_response(ssl, CRYPTO_BUFFER_data(asked), CRYPTO_BUFFER_len(asked));
    }
    bool is_current = cert->staple_from <= now && now < cert->staple_until;
    return cert->staple.len == 0 || !is_current ||
           SSL_set_ocsp_response(ssl, buf_span(&cert->staple).ptr, cert->staple.len);
}

static bool use_certificate(SSL *ssl, const struct edge_session *session,
                            const struct edge_certificate *cert) {
    if (cert != NULL) {
        return SSL_set_chain_and_key(ssl, cert->chain, cert->num_chain, cert->key, NULL) &&
               use_staple(ssl, session->staples, cert);
    }
    size_t num = 0;
    struct svid *svid = identity_svid(session->identity);
    CRYPTO_BUFFER *const *chain = svid_chain(svid, &num);
    return SSL_set_chain_and_key(ssl, chain, num, svid_key(svid), NULL);
}

// The port's are the context's.
static bool name_issuers(SSL *ssl, const struct edge_certificate *cert) {
    if (cert == NULL || cert->issuers == NULL) {
        return true;
    }
    STACK_OF(CRYPTO_BUFFER) *issuers = sk_CRYPTO_BUFFER_dup(cert->issuers);
    for (size_t i = 0; issuers != NULL && i < sk_CRYPTO_BUFFER_num(issuers); i++) {
        CRYPTO_BUFFER_up_ref(sk_CRYPTO_BUFFER_value(issuers, i));
    }
    if (issuers != NULL) {
        SSL_set0_client_CAs(ssl, issuers);
    }
    return issuers != NULL;
}

static bool apply(SSL *ssl, const struct edge_session *session,
                  const struct edge_certificate *cert) {
    const struct edge_rules *rules = session->rules;
    SSL_set_custom_verify(ssl, verify_mode(rules), verify);
    return SSL_set_min_proto_version(ssl, rules->min_version) &&
           SSL_set_max_proto_version(ssl, rules->max_version) && name_issuers(ssl, cert) &&
           use_certificate(ssl, session, cert);
}

static bool choose(struct edge_session *session, const struct client_hello *hello,
                   const struct edge_certificate **cert) {
    const struct edge_server *server = session->server;
    *cert = NULL;
    if (server->num_certificates == 0) {
        return session->identity != NULL ||
               ERR_SET(&session->why, ERR_INPUT, "there is no workload certificate to present");
    }
    const char *why = NULL;
    *cert = edge_server_choose(server, hello, &why);
    if (*cert == NULL) {
        bool named = hello->server_name[0] != '\0';
        return ERR_SET(&session->why, ERR_INPUT, "%s%s%s", why, named ? ": " : "",
                       hello->server_name);
    }
    session->rules = &(*cert)->rules;
    return true;
}

enum ssl_select_cert_result_t edge_session_on_client_hello(const SSL_CLIENT_HELLO *hello) {
    struct edge_session *session = SSL_get_app_data(hello->ssl);
    struct client_hello_parts parts = {
        .cipher_suites = span_of(hello->cipher_suites, hello->cipher_suites_len),
        .extensions = span_of(hello->extensions, hello->extensions_len),
        .max_version = session->server->rules.max_version,
    };
    struct client_hello seen;
    const struct edge_certificate *cert = NULL;
    if (!client_hello_parse(&parts, &seen)) {
        (void)ERR_SET(&session->why, ERR_INPUT, "the ClientHello is malformed");
        return ssl_select_cert_error;
    }
    text_copy(session->server_name, sizeof(session->server_name), seen.server_name);
    bool ok = choose(session, &seen, &cert);
    const struct edge_resume resume = {
        .allowed = session->server->resumes,
        .server_name = session->server_name,
        .certificate = cert,
        .identity = session->identity,
        .by_spiffe = session->rules->by_spiffe,
        .max_version = session->rules->max_version,
    };
    if (!ok || !apply(hello->ssl, session, cert) || !edge_resume_prepare(hello, &resume)) {
        ERR_clear_error();
        return ssl_select_cert_error;
    }
    return ssl_select_cert_success;
}

// --- the end of the handshake

static void note_alpn(struct edge_session *session, const SSL *ssl) {
    const uint8_t *alpn = NULL;
    unsigned alpn_len = 0;
    SSL_get0_alpn_selected(ssl, &alpn, &alpn_len);
    session->alpn_len = alpn_len <= sizeof(session->alpn) ? alpn_len : 0;
    if (session->alpn_len > 0) {
        memcpy(session->alpn, alpn, session->alpn_len);
    }
}

// BoringSSL has not called back for a session that was resumed: the certificate that it holds is
// judged as if it had been presented now. False: it is refused.
static bool judge_resumed(const struct edge_session *session, SSL *ssl, uint8_t *alert) {
    const STACK_OF(CRYPTO_BUFFER) *chain = SSL_get0_peer_certificates(ssl);
    bool has_client = chain != NULL && sk_CRYPTO_BUFFER_num(chain) > 0;
    return !SSL_session_reused(ssl) || !has_client || session->rules->auth == EDGE_AUTH_NONE ||
           verify(ssl, alert) == ssl_verify_ok;
}

static const char *finish(void *arg, SSL *ssl, uint8_t *alert) {
    struct edge_session *session = arg;
    const struct edge_server *server = session->server;
    note_alpn(session, ssl);
    if (!judge_resumed(session, ssl, alert)) {
        return session->why.msg;
    }
    *alert = SSL_AD_CERTIFICATE_REQUIRED;
    if (session->rules->auth == EDGE_AUTH_REQUIRED && !session->client.is_verified &&
        !session->rules->answers_http) {
        return "the client has not been verified";
    }
    uint16_t suite = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl));
    bool allowed = server->num_suites == 0 || SSL_version(ssl) < TLS1_3_VERSION;
    for (size_t i = 0; i < server->num_suites; i++) {
        allowed |= server->suites[i] == suite;
    }
    *alert = SSL_AD_HANDSHAKE_FAILURE;
    return allowed ? NULL : "the TLS 1.3 cipher suite is none of tls13CipherSuites";
}

struct tls_stream *edge_session_accept(const struct edge_server *server,
                                       const struct edge_staples *staples,
                                       struct identity *identity, struct edge_session **out) {
    struct edge_session *session = calloc(1, sizeof(*session));
    if (session == NULL) {
        return NULL;
    }
    session->server = server;
    session->staples = staples;
    session->rules = &server->rules;
    session->identity = identity == NULL ? NULL : identity_ref(identity);
    struct tls_foreign foreign = {
        .ssl = SSL_new(server->ssl),
        .arg = session,
        .finish = finish,
        .refusal = refusal,
        .free = session_free,
    };
    if (foreign.ssl != NULL) {
        SSL_set_accept_state(foreign.ssl);
        SSL_set_app_data(foreign.ssl, session);
    }
    *out = session;
    return tls_stream_new_foreign(&foreign);
}

const struct edge_client *edge_session_client(const struct edge_session *session) {
    return &session->client;
}

const char *edge_session_server_name(const struct edge_session *session) {
    return session->server_name;
}

const char *edge_session_refusal(const struct edge_session *session) {
    return session->client.is_presented ? refusal(session) : NULL;
}

const struct edge_rules *edge_session_rules(const struct edge_session *session) {
    return session->rules;
}

struct span edge_session_alpn(const struct edge_session *session) {
    return span_of(session->alpn, session->alpn_len);
}
