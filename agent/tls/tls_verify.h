// Verifying the peer of a TLS connection inside its handshake: BoringSSL's custom verify callback,
// certmgr's verifier, then the caller's own judgement, and the alert that fits.
// A tls_verifier is embedded in its tls_stream; the SSL points to it as application data.
#ifndef AGENT_TLS_TLS_VERIFY_H
#define AGENT_TLS_TLS_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "base/err.h"
#include "certmgr/identity.h"
#include "certmgr/verify.h"

struct tls_verifier {
    const struct identity *identity; // whose bundles; borrowed
    enum verify_role role;           // what the peer is
    char *server_name;               // verify by DNS name; NULL: by SPIFFE ID. Owned.
    bool (*accept)(void *arg, const struct peer *peer); // may be NULL
    void *arg;
    // The outcome.
    enum verify_result result;
    bool is_verified;     // by `result` being VERIFY_OK; `peer` is set
    bool is_not_accepted; // verified, but refused by `accept`
    struct peer peer;
    char *detail; // why not, in a sentence; owned, NULL when memory is short
};

void tls_verifier_fini(struct tls_verifier *verifier);

// The callback for SSL_CTX_set_custom_verify. Fails closed without a verifier.
enum ssl_verify_result_t tls_verify_callback(SSL *ssl, uint8_t *out_alert);

// Verifies the chain that `ssl` holds against `identity`. `err` may be NULL.
enum verify_result tls_verify_chain(const struct tls_verifier *verifier, const SSL *ssl,
                                    const struct identity *identity, int64_t now, struct peer *out,
                                    struct err *err) MUST_USE;

#endif
