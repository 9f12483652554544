// Verifying the peer of a TLS connection inside its handshake: BoringSSL's custom verify callback,
// certmgr's verifier, then the caller's own judgement, and the alert that fits.
// Resumption is its business too: it bounds how long a session lives, verifies the stored chain of
// a resumed one, and keeps a client's sessions.
// A tls_verifier is embedded in its tls_stream; the SSL points to it as application data.
#ifndef AGENT_TLS_TLS_VERIFY_H
#define AGENT_TLS_TLS_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/pool.h>
#include <openssl/ssl.h>

#include "agent/tls/session_cache.h"
#include "base/err.h"
#include "certmgr/identity.h"
#include "certmgr/verify.h"

struct tls_verifier {
    const struct identity *identity; // whose bundles; borrowed
    enum verify_role role;           // what the peer is
    char *server_name;               // verify by DNS name; NULL: by SPIFFE ID. Owned.
    bool (*accept)(void *arg, const struct peer *peer); // may be NULL
    void *arg;
    struct session_cache *sessions; // where a client keeps its sessions; NULL: nowhere. Borrowed.
    uint8_t session_key[SESSION_CACHE_KEY_LEN];
    bool has_kept_session;
    // The outcome.
    enum verify_result result;
    bool is_verified;     // by `result` being VERIFY_OK; `peer` is set
    bool is_not_accepted; // verified, but refused by `accept`
    struct peer peer;
    char *detail; // why not, in a sentence; owned, NULL when memory is short
};

void tls_verifier_fini(struct tls_verifier *verifier);

#define TLS_SESSION_LIFETIME_S 3600 // from the full handshake on, however often it is resumed

// The callback for SSL_CTX_set_custom_verify. Fails closed without a verifier.
enum ssl_verify_result_t tls_verify_callback(SSL *ssl, uint8_t *out_alert);
// Call at the end of a resumed handshake: BoringSSL's servers have not called back.
enum ssl_verify_result_t tls_verify_resumed(SSL *ssl, uint8_t *out_alert);
// The callback for SSL_CTX_sess_set_new_cb.
int tls_verify_keep_session(SSL *ssl, SSL_SESSION *session);

// The alert (SSL_AD_*) that tells a peer why it was refused; RFC 8446 6.2.
uint8_t tls_verify_alert(enum verify_result result);

// By what a chain is judged, and when.
struct tls_judge {
    const struct identity *identity;
    int64_t now; // Unix seconds
};
// Verifies the chain that the peer presented; NULL: it presented none. `err` may be NULL.
enum verify_result tls_verify_chain(const struct tls_verifier *verifier,
                                    const STACK_OF(CRYPTO_BUFFER) * presented,
                                    struct tls_judge judge, struct peer *out,
                                    struct err *err) MUST_USE;

#endif
