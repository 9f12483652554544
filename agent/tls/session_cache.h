// The TLS sessions that a client may resume, by whom they were made with. Lives and dies with its
// tls_context, so with our identity, the bundles and the policy: a session never outlasts them.
// Thread-safe: a mutex, taken once per handshake and ticket.
#ifndef AGENT_TLS_SESSION_CACHE_H
#define AGENT_TLS_SESSION_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/base.h>

#include "base/netaddr.h"
#include "base/own.h"

#define SESSION_CACHE_MAX 1024       // sessions
#define SESSION_CACHE_PER_KEY_MAX 16 // connections to one endpoint that may resume at once
#define SESSION_CACHE_KEY_LEN 32

// Whom a session is made with. Borrowed for the call.
struct session_endpoint {
    int use;                    // enum tls_use
    const struct netaddr *addr; // where it is dialled
    const char *server_name;    // NULL: by SPIFFE ID
    char *const *peers;         // acceptable identities
    size_t num_peers;
};

struct session_cache;

struct session_cache *session_cache_new(void) MUST_USE;
void session_cache_free(struct session_cache *cache);
OWN_DEFINE(struct session_cache, session_cache_free)

// A digest of all fields.
void session_cache_key(const struct session_endpoint *endpoint, uint8_t key[SESSION_CACHE_KEY_LEN]);

// Keeps the session, which it takes.
void session_cache_put(struct session_cache *cache, const uint8_t key[SESSION_CACHE_KEY_LEN],
                       SSL_SESSION *session);
// The newest session; the caller's from then on, because a ticket is used once (RFC 8446 C.4).
// NULL when there is none.
SSL_SESSION *session_cache_take(struct session_cache *cache,
                                const uint8_t key[SESSION_CACHE_KEY_LEN]) MUST_USE;

#endif
