#include "agent/tls/tls_context.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/pool.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>

#include "agent/tls/tls_error.h"
#include "agent/tls/tls_verify.h"
#include "base/check.h"
#include "certmgr/sized_hash.h"
#include "certmgr/svid.h"

// Handshake messages that may carry certificates are bounded before anything is parsed.
#define CERT_LIST_MAX (64 * 1024)

struct tls_context {
    atomic_uint num_refs;
    struct identity *identity;
    struct session_cache *sessions;
    SSL_CTX *ssl[TLS_USE_COUNT];
};

// Chains that many connections present are stored once for the whole process.
static CRYPTO_BUFFER_POOL *pool;
static pthread_once_t pool_once = PTHREAD_ONCE_INIT;

static void pool_make(void) {
    pool = CRYPTO_BUFFER_POOL_new();
}

static const uint8_t alpn_h2[] = {2, 'h', '2'};

static int select_h2(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in,
                     unsigned in_len, void *arg) {
    (void)ssl;
    (void)arg;
    uint8_t *selected = NULL;
    if (SSL_select_next_proto(&selected, out_len, in, in_len, alpn_h2, sizeof(alpn_h2)) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = selected;
    return SSL_TLSEXT_ERR_OK;
}

static const uint16_t signature_prefs[] = {
    SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_RSA_PKCS1_SHA256,
    SSL_SIGN_ECDSA_SECP384R1_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA384, SSL_SIGN_RSA_PKCS1_SHA384,
    SSL_SIGN_RSA_PSS_RSAE_SHA512,    SSL_SIGN_RSA_PKCS1_SHA512,
};

// TLS 1.2 only, that is TLS_MUTUAL_CLIENT: forward secrecy and AEAD. BoringSSL fixes the order of
// the TLS 1.3 suites itself, AES-128-GCM first where the processor has AES.
static const char ciphers_12[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                 "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                 "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

// Between sidecars, which both know it, the key exchange is a hybrid with Kyber. Of the servers
// that `tls: mutual` calls hardly one knows that draft, and its key share costs a fifth of a
// handshake.
static const char mesh_groups[] = "X25519Kyber:X25519:P-256";
static const char foreign_groups[] = "X25519:P-256:P-384";

static bool set_protocol(SSL_CTX *ctx, enum tls_use use) {
    uint16_t min = use == TLS_MUTUAL_CLIENT ? TLS1_2_VERSION : TLS1_3_VERSION;
    if (!SSL_CTX_set_min_proto_version(ctx, min) ||
        !SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) ||
        !SSL_CTX_set_strict_cipher_list(ctx, ciphers_12) ||
        !SSL_CTX_set1_groups_list(ctx, use == TLS_MUTUAL_CLIENT ? foreign_groups : mesh_groups) ||
        !SSL_CTX_set_verify_algorithm_prefs(ctx, signature_prefs,
                                            sizeof(signature_prefs) / sizeof(signature_prefs[0]))) {
        return false;
    }
    if (use == TLS_MESH_SERVER) {
        SSL_CTX_set_alpn_select_cb(ctx, select_h2, NULL);
    }
    // SSL_CTX_set_alpn_protos returns zero on success.
    return use != TLS_MESH_CLIENT || SSL_CTX_set_alpn_protos(ctx, alpn_h2, sizeof(alpn_h2)) == 0;
}

// All that a session's validity rests on. A server resumes no session of another context, so that a
// change of any of it makes a full handshake of every ticket that is about.
static void compute_session_context(enum tls_use use, const struct identity *identity,
                                    struct span policy, uint8_t out[SHA256_DIGEST_LENGTH]) {
    size_t num_chain = 0;
    CRYPTO_BUFFER *const *chain = svid_chain(identity_svid(identity), &num_chain);
    SHA256_CTX sha;
    SHA256_Init(&sha);
    uint8_t kind = (uint8_t)use;
    SHA256_Update(&sha, &kind, sizeof(kind));
    SHA256_Update(&sha, bundle_set_digest(identity_bundles(identity)), SHA256_DIGEST_LENGTH);
    sized_hash_add(&sha, policy.ptr, policy.len);
    for (size_t i = 0; i < num_chain; i++) {
        sized_hash_add(&sha, CRYPTO_BUFFER_data(chain[i]), CRYPTO_BUFFER_len(chain[i]));
    }
    SHA256_Final(out, &sha);
}

// Tickets only: a server keeps no session itself. The ticket keys are BoringSSL's: made for this
// SSL_CTX, gone with it, renewed every two days. What a client keeps is in our own cache.
static bool set_resumption(SSL_CTX *ctx, enum tls_use use, const struct identity *identity,
                           struct span policy) {
    uint8_t session_context[SHA256_DIGEST_LENGTH];
    compute_session_context(use, identity, policy, session_context);
    SSL_CTX_set_early_data_enabled(ctx, 0);
    SSL_CTX_set_timeout(ctx, TLS_SESSION_LIFETIME_S);
    SSL_CTX_set_session_psk_dhe_timeout(ctx, TLS_SESSION_LIFETIME_S);
    SSL_CTX_set_num_tickets(ctx, 1);
    if (use == TLS_MESH_SERVER) {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    } else {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(ctx, tls_verify_keep_session);
        SSL_CTX_set_reverify_on_resume(ctx, 1);
    }
    return SSL_CTX_set_session_id_context(ctx, session_context, sizeof(session_context)) == 1;
}

static bool set_up(SSL_CTX *ctx, enum tls_use use, struct svid *svid) {
    size_t num_chain = 0;
    CRYPTO_BUFFER *const *chain = svid_chain(svid, &num_chain);
    pthread_once(&pool_once, pool_make);
    SSL_CTX_set0_buffer_pool(ctx, pool);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_max_cert_list(ctx, CERT_LIST_MAX);
    SSL_CTX_set_custom_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                              tls_verify_callback);
    return set_protocol(ctx, use) &&
           SSL_CTX_set_chain_and_key(ctx, chain, num_chain, svid_key(svid), NULL);
}

struct tls_context *tls_context_new(struct identity *identity, struct span policy,
                                    struct err *err) {
    OWNED(tls_context_unref) struct tls_context *context = calloc(1, sizeof(*context));
    if (context == NULL) {
        ERR_NO_MEMORY(err, "preparing TLS");
        return NULL;
    }
    atomic_init(&context->num_refs, 1);
    context->identity = identity_ref(identity);
    context->sessions = session_cache_new();
    if (context->sessions == NULL) {
        ERR_NO_MEMORY(err, "preparing TLS");
        return NULL;
    }
    ERR_clear_error();
    for (int use = 0; use < TLS_USE_COUNT; use++) {
        SSL_CTX *ctx = context->ssl[use] = SSL_CTX_new(TLS_with_buffers_method());
        if (ctx == NULL || !set_up(ctx, (enum tls_use)use, identity_svid(identity)) ||
            !set_resumption(ctx, (enum tls_use)use, identity, policy)) {
            struct tls_error why;
            tls_error_take(&why, false);
            ERR_SET(err, ERR_INPUT, "TLS cannot use the identity %s: %s",
                    svid_id(identity_svid(identity))->text, why.text);
            return NULL;
        }
    }
    return take(&context);
}

struct tls_context *tls_context_ref(struct tls_context *context) {
    unsigned before = atomic_fetch_add_explicit(&context->num_refs, 1, memory_order_relaxed);
    CHECK(before > 0);
    return context;
}

void tls_context_unref(struct tls_context *context) {
    if (context == NULL) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&context->num_refs, 1, memory_order_acq_rel);
    CHECK(before > 0);
    if (before > 1) {
        return;
    }
    for (int use = 0; use < TLS_USE_COUNT; use++) {
        SSL_CTX_free(context->ssl[use]);
    }
    session_cache_free(context->sessions);
    identity_unref(context->identity);
    free(context);
}

struct identity *tls_context_identity(const struct tls_context *context) {
    return context->identity;
}

SSL_CTX *tls_context_ssl(const struct tls_context *context, enum tls_use use) {
    return context->ssl[use];
}

struct session_cache *tls_context_sessions(const struct tls_context *context) {
    return context->sessions;
}
