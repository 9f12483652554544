#include "agent/tls/tls_verify.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "base/clock.h"
#include "base/span.h"
#include "certmgr/svid.h"
#include "certmgr/verify_cache.h"

void tls_verifier_fini(struct tls_verifier *verifier) {
    free(verifier->server_name);
    free(verifier->detail);
}

uint8_t tls_verify_alert(enum verify_result result) {
    switch (result) {
    case VERIFY_NO_CERTIFICATE:
        return SSL_AD_CERTIFICATE_REQUIRED;
    case VERIFY_UNKNOWN_TRUST_DOMAIN:
    case VERIFY_UNTRUSTED:
        return SSL_AD_UNKNOWN_CA;
    case VERIFY_EXPIRED:
    case VERIFY_NOT_YET_VALID:
        return SSL_AD_CERTIFICATE_EXPIRED;
    case VERIFY_REVOKED:
        return SSL_AD_CERTIFICATE_REVOKED;
    case VERIFY_BAD_USAGE:
        return SSL_AD_UNSUPPORTED_CERTIFICATE;
    case VERIFY_SUBJECT:
        return SSL_AD_ACCESS_DENIED;
    case VERIFY_OK:
    case VERIFY_TOO_LARGE:
    case VERIFY_MALFORMED:
    case VERIFY_NO_SPIFFE_ID:
    case VERIFY_WEAK:
    case VERIFY_WRONG_NAME:
    case VERIFY_RESULT_COUNT:
        break;
    }
    return SSL_AD_BAD_CERTIFICATE;
}

enum verify_result tls_verify_chain(const struct tls_verifier *verifier,
                                    const STACK_OF(CRYPTO_BUFFER) * presented,
                                    struct tls_judge judge, struct peer *out, struct err *err) {
    size_t num = presented == NULL ? 0 : sk_CRYPTO_BUFFER_num(presented);
    if (num == 0) {
        ERR_SET(err, ERR_INPUT, "%s", verify_result_sentence(VERIFY_NO_CERTIFICATE));
        return VERIFY_NO_CERTIFICATE;
    }
    // One over the limit is enough for the verifier to refuse.
    CRYPTO_BUFFER *chain[SVID_CHAIN_MAX + 1];
    size_t num_chain = num <= SVID_CHAIN_MAX ? num : SVID_CHAIN_MAX + 1;
    for (size_t i = 0; i < num_chain; i++) {
        chain[i] = sk_CRYPTO_BUFFER_value(presented, i);
    }
    struct verify_question question = {
        .chain = chain,
        .num_chain = num_chain,
        .role = verifier->role,
        .dns_name = span_of_text(verifier->server_name),
        .trust_domain = identity_trust_domain(judge.identity),
        .now = judge.now,
    };
    return verify_cache_ask(identity_verify_cache(judge.identity), &question, out, err);
}

static void keep_detail(struct tls_verifier *verifier, const char *sentence) {
    free(verifier->detail);
    verifier->detail = strdup(sentence);
}

static bool is_accepted(struct tls_verifier *verifier) {
    if (verifier->accept == NULL || verifier->accept(verifier->arg, &verifier->peer)) {
        return true;
    }
    verifier->is_not_accepted = true;
    struct err err = {0};
    const struct spiffe_id *id = &verifier->peer.id;
    ERR_SET(&err, ERR_INPUT, "the peer %s is verified, but it is not one that is accepted here",
            id->len > 0 ? id->text : verifier->server_name);
    keep_detail(verifier, err.msg);
    return false;
}

// A session must not outlive a certificate that it rests on. A resumed one brings its bound along:
// tickets that are renewed do not extend it.
static void limit_session(const struct tls_verifier *verifier, SSL *ssl, int64_t now) {
    if (SSL_session_reused(ssl)) {
        return;
    }
    int64_t end = svid_not_after(identity_svid(verifier->identity));
    end = verifier->peer.not_after < end ? verifier->peer.not_after : end;
    int64_t left = end > now ? end - now : 0;
    left = left < TLS_SESSION_LIFETIME_S ? left : TLS_SESSION_LIFETIME_S;
    SSL_SESSION_set_timeout(SSL_get_session(ssl), (uint32_t)left);
}

static enum ssl_verify_result_t judge(struct tls_verifier *verifier, SSL *ssl, uint8_t *out_alert) {
    struct err err = {0};
    int64_t now = clock_wall_s();
    verifier->result =
        tls_verify_chain(verifier, SSL_get0_peer_certificates(ssl),
                         (struct tls_judge){verifier->identity, now}, &verifier->peer, &err);
    if (verifier->result != VERIFY_OK) {
        keep_detail(verifier,
                    err.msg[0] != '\0' ? err.msg : verify_result_sentence(verifier->result));
        *out_alert = tls_verify_alert(verifier->result);
        return ssl_verify_invalid;
    }
    verifier->is_verified = true;
    if (!is_accepted(verifier)) {
        *out_alert = SSL_AD_ACCESS_DENIED;
        return ssl_verify_invalid;
    }
    limit_session(verifier, ssl, now);
    return ssl_verify_ok;
}

enum ssl_verify_result_t tls_verify_callback(SSL *ssl, uint8_t *out_alert) {
    struct tls_verifier *verifier = SSL_get_app_data(ssl);
    if (verifier == NULL) {
        *out_alert = SSL_AD_INTERNAL_ERROR;
        return ssl_verify_invalid;
    }
    enum ssl_verify_result_t verdict = judge(verifier, ssl, out_alert);
    // X509 calls leave entries behind even where they succeed, and SSL_get_error would read them.
    ERR_clear_error();
    return verdict;
}

// Without the extended master secret a TLS 1.2 session is not bound to its handshake (RFC 7627).
int tls_verify_keep_session(SSL *ssl, SSL_SESSION *session) {
    struct tls_verifier *verifier = SSL_get_app_data(ssl);
    if (verifier == NULL || verifier->sessions == NULL || !verifier->is_verified ||
        verifier->is_not_accepted ||
        (SSL_version(ssl) < TLS1_3_VERSION && !SSL_get_extms_support(ssl))) {
        return 0;
    }
    verifier->has_kept_session = true;
    session_cache_put(verifier->sessions, verifier->session_key, session);
    return 1; // it is the cache's
}

// A TLS 1.2 server need not give a new ticket for the one it took: the old one goes on.
static void keep_again(SSL *ssl, const struct tls_verifier *verifier) {
    SSL_SESSION *session = SSL_get_session(ssl);
    if (SSL_SESSION_should_be_single_use(session) || verifier->has_kept_session) {
        return;
    }
    SSL_SESSION_up_ref(session);
    if (tls_verify_keep_session(ssl, session) == 0) {
        SSL_SESSION_free(session);
    }
}

enum ssl_verify_result_t tls_verify_resumed(SSL *ssl, uint8_t *out_alert) {
    const struct tls_verifier *verifier = SSL_get_app_data(ssl);
    if (verifier == NULL || !verifier->is_verified || verifier->is_not_accepted) {
        return tls_verify_callback(ssl, out_alert);
    }
    keep_again(ssl, verifier); // a client: its library has called back
    return ssl_verify_ok;
}
