// Whether a connection to one of the application's ports may resume a session, and which one: said
// when the ClientHello is known, before BoringSSL looks at a ticket: one that was given for another
// server name would skip the rules of this one.
#ifndef AGENT_TLS_EDGE_RESUME_H
#define AGENT_TLS_EDGE_RESUME_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "agent/tls/edge_server.h"
#include "certmgr/identity.h"

// What a session is good for. Borrowed for the call.
struct edge_resume {
    bool allowed;                               // by the port
    const char *server_name;                    // that the client sent; "" without SNI
    const struct edge_certificate *certificate; // that is presented; NULL: the workload's own
    struct identity *identity;                  // NULL: none, then there is a certificate
    bool by_spiffe;                             // clients are judged by the identity's bundles
    uint16_t max_version;                       // enum edge_version; for that name
};

// Ties the sessions of this connection to all of it, or has none. False: memory is short.
bool edge_resume_prepare(const SSL_CLIENT_HELLO *hello, const struct edge_resume *what) MUST_USE;

#endif
