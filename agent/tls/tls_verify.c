#include "agent/tls/tls_verify.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pool.h>

#include "base/clock.h"
#include "base/span.h"

void tls_verifier_fini(struct tls_verifier *verifier) {
    free(verifier->server_name);
    free(verifier->detail);
}

static uint8_t alert_for(enum verify_result result) {
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

enum verify_result tls_verify_chain(const struct tls_verifier *verifier, const SSL *ssl,
                                    const struct identity *identity, int64_t now, struct peer *out,
                                    struct err *err) {
    const STACK_OF(CRYPTO_BUFFER) *presented = SSL_get0_peer_certificates(ssl);
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
    const struct bundle_set *bundles = identity_bundles(identity);
    if (verifier->server_name != NULL) {
        return verify_server_name(bundles, identity_trust_domain(identity),
                                  span_of_text(verifier->server_name), chain, num_chain, now, out,
                                  err);
    }
    return verify_peer(bundles, chain, num_chain, verifier->role, now, out, err);
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

static enum ssl_verify_result_t judge(struct tls_verifier *verifier, const SSL *ssl,
                                      uint8_t *out_alert) {
    struct err err = {0};
    verifier->result =
        tls_verify_chain(verifier, ssl, verifier->identity, clock_wall_s(), &verifier->peer, &err);
    if (verifier->result != VERIFY_OK) {
        keep_detail(verifier,
                    err.msg[0] != '\0' ? err.msg : verify_result_sentence(verifier->result));
        *out_alert = alert_for(verifier->result);
        return ssl_verify_invalid;
    }
    verifier->is_verified = true;
    if (!is_accepted(verifier)) {
        *out_alert = SSL_AD_ACCESS_DENIED;
        return ssl_verify_invalid;
    }
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
