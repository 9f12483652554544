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

static bool find_extension(const SSL_CLIENT_HELLO *hello, uint16_t type, struct span *out) {
    const uint8_t *data = NULL;
    size_t len = 0;
    bool is_sent = SSL_early_callback_ctx_extension_get(hello, type, &data, &len) == 1;
    *out = span_of(data, len);
    return is_sent;
}

// A client that lists TLS 1.3 gets it wherever the name allows it.
static bool becomes_tls_1_3(const SSL_CLIENT_HELLO *hello, uint16_t max_version) {
    struct span list;
    if (max_version < EDGE_TLS_1_3 ||
        !find_extension(hello, TLSEXT_TYPE_supported_versions, &list)) {
        return false;
    }
    for (size_t i = 1; i + 1 < list.len; i += 2) { // after the list's length
        if ((list.ptr[i] << 8 | list.ptr[i + 1]) == EDGE_TLS_1_3) {
            return true;
        }
    }
    return false;
}

// Not where our own certificate has expired, which a client that resumes would not see; nor in TLS
// 1.2 without the extended master secret, which binds a session to its handshake (RFC 7627 section
// 5.3): such a handshake takes no session, and makes none.
static bool may_resume(const SSL_CLIENT_HELLO *hello, const struct edge_resume *what) {
    int64_t end = what->certificate != NULL ? what->certificate->not_after
                                            : svid_not_after(identity_svid(what->identity));
    struct span empty;
    return what->allowed && clock_wall_s() < end &&
           (becomes_tls_1_3(hello, what->max_version) ||
            find_extension(hello, TLSEXT_TYPE_extended_master_secret, &empty));
}

bool edge_resume_prepare(const SSL_CLIENT_HELLO *hello, const struct edge_resume *what) {
    if (may_resume(hello, what)) {
        return bind_sessions(hello->ssl, what);
    }
    SSL_set_options(hello->ssl, SSL_OP_NO_TICKET);
    return true;
}
