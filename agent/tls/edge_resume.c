#include "agent/tls/edge_resume.h"

#include <string.h>

#include <openssl/pool.h>
#include <openssl/sha.h>

#include "base/clock.h"
#include "certmgr/bundle.h"
#include "certmgr/sized_hash.h"
#include "certmgr/svid.h"

// Another name, certificate of our own, or bundle makes a full handshake.
static bool bind_sessions(SSL *ssl, const struct edge_resume *what) {
    uint8_t digest[SHA256_DIGEST_LENGTH];
    size_t num = 0;
    const CRYPTO_BUFFER *leaf = what->certificate != NULL
                                    ? what->certificate->chain[0]
                                    : svid_chain(identity_svid(what->identity), &num)[0];
    SHA256_CTX sha;
    SHA256_Init(&sha);
    sized_hash_add(&sha, what->server_name, strlen(what->server_name));
    sized_hash_add(&sha, CRYPTO_BUFFER_data(leaf), CRYPTO_BUFFER_len(leaf));
    if (what->by_spiffe && what->identity != NULL) {
        sized_hash_add(&sha, bundle_set_digest(identity_bundles(what->identity)),
                       SHA256_DIGEST_LENGTH);
    }
    SHA256_Final(digest, &sha);
    return SSL_set_session_id_context(ssl, digest, sizeof(digest)) == 1;
}

static bool sends(const SSL_CLIENT_HELLO *hello, uint16_t extension) {
    const uint8_t *data = NULL;
    size_t len = 0;
    return SSL_early_callback_ctx_extension_get(hello, extension, &data, &len) == 1;
}

// Not where our own certificate has expired, which a client that resumes would not see; nor in TLS
// 1.2 without the extended master secret, which binds a session to its handshake (RFC 7627).
static bool may_resume(const SSL_CLIENT_HELLO *hello, const struct edge_resume *what) {
    int64_t end = what->certificate != NULL ? what->certificate->not_after
                                            : svid_not_after(identity_svid(what->identity));
    return what->allowed && clock_wall_s() < end &&
           (sends(hello, TLSEXT_TYPE_extended_master_secret) ||
            sends(hello, TLSEXT_TYPE_supported_versions));
}

bool edge_resume_prepare(const SSL_CLIENT_HELLO *hello, const struct edge_resume *what) {
    if (may_resume(hello, what)) {
        return bind_sessions(hello->ssl, what);
    }
    SSL_set_options(hello->ssl, SSL_OP_NO_TICKET);
    return true;
}
