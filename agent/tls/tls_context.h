// The TLS configuration that belongs to one identity: an immutable snapshot with a client and a
// server SSL_CTX for the mesh and a client one for `tls: mutual`, shared by reference count.
// A new identity or policy makes a new tls_context; nothing is ever reconfigured, and no session
// that was made with one context can be resumed with another.
#ifndef AGENT_TLS_TLS_CONTEXT_H
#define AGENT_TLS_TLS_CONTEXT_H

#include <stdbool.h>

#include <openssl/base.h>

#include "agent/tls/session_cache.h"
#include "base/err.h"
#include "base/span.h"
#include "certmgr/identity.h"

enum tls_use {
    TLS_MESH_CLIENT,   // TLS 1.3 only, ALPN h2, no SNI, own SVID
    TLS_MESH_SERVER,   // TLS 1.3 only, ALPN h2, a client certificate is required
    TLS_MUTUAL_CLIENT, // TLS 1.2 and 1.3 to a server that speaks TLS itself, own SVID when asked
    TLS_USE_COUNT,
    TLS_FOREIGN = TLS_USE_COUNT // of no tls_context: tls_stream_new_foreign
};

struct tls_context;

// Takes a reference of `identity`. `policy` is any text that stands for the policy in force; only a
// digest of it is kept. Ticket keys are the context's own; the session-id context is a digest of
// the use, the bundles, the policy and our own chain. Early data is off. Groups: the hybrid of this
// BoringSSL revision, X25519, P-256. AES-128-GCM before AES-256-GCM.
struct tls_context *tls_context_new(struct identity *identity, struct span policy,
                                    struct err *err) MUST_USE;
struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context);
OWN_DEFINE(struct tls_context, tls_context_unref)

struct identity *tls_context_identity(const struct tls_context *context);      // borrowed
SSL_CTX *tls_context_ssl(const struct tls_context *context, enum tls_use use); // borrowed
// The sessions of clients that use this context. Borrowed.
struct session_cache *tls_context_sessions(const struct tls_context *context);

#endif
