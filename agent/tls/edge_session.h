// One connection to an edge_server: the ClientHello is answered, and the client judged. Belongs to
// its tls_stream, as the SSL's application data.
#ifndef AGENT_TLS_EDGE_SESSION_H
#define AGENT_TLS_EDGE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "agent/tls/edge_server.h"
#include "agent/tls/edge_staples.h"
#include "agent/tls/tls_stream.h"
#include "certmgr/identity.h"
#include "certmgr/subject.h"
#include "certmgr/verify.h"

// Who the client is. Until `is_verified` it is a claim.
struct edge_client {
    bool is_presented; // there was a certificate
    bool is_verified;
    enum verify_result result;          // VERIFY_OK also where none was presented
    char subject[SUBJECT_TEXT_MAX];     // RFC 2253
    char common_name[SUBJECT_TEXT_MAX]; // "" where it would be ambiguous
    struct peer peer;                   // id: of a workload identity; serial and not_after always
};

struct edge_session;

// A stream that accepts a connection. `server` and `staples` (may be NULL) outlive it; a reference
// of `identity` (may be NULL: there is none) is taken. `*session` is the stream's. NULL when memory
// is short.
struct tls_stream *edge_session_accept(const struct edge_server *server,
                                       const struct edge_staples *staples,
                                       struct identity *identity,
                                       struct edge_session **session) MUST_USE;

const struct edge_client *edge_session_client(const struct edge_session *session);
const char *edge_session_server_name(const struct edge_session *session); // "" without SNI
struct span edge_session_alpn(const struct edge_session *session);        // agreed on; empty: none
// Why the client's certificate was not accepted; NULL: it was, or there is none.
const char *edge_session_refusal(const struct edge_session *session);
// What the client was judged by; before the ClientHello is known, the port's.
const struct edge_rules *edge_session_rules(const struct edge_session *session);

// The callback for SSL_CTX_set_select_certificate_cb.
enum ssl_select_cert_result_t edge_session_on_client_hello(const SSL_CLIENT_HELLO *hello);

#endif
