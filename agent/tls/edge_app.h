// TLS towards the application itself (appTls: reencrypt): the client side of it. Loaded as a whole,
// then immutable; its owner outlives every stream.
#ifndef AGENT_TLS_EDGE_APP_H
#define AGENT_TLS_EDGE_APP_H

#include <stdbool.h>

#include <openssl/base.h>

#include "agent/tls/tls_stream.h"
#include "base/err.h"
#include "base/span.h"
#include "certmgr/anchors.h"
#include "certmgr/identity.h"

struct edge_app {
    struct anchors *anchors; // owned; NULL: the application's certificate is not verified
    const char *server_name; // borrowed; sent as SNI, and verified unless it is pinned; NULL: none
    SSL_CTX *ssl;            // owned; by edge_app_finish
};

bool edge_app_finish(struct edge_app *app, struct err *err) MUST_USE;
void edge_app_fini(struct edge_app *app);

// A stream that connects. `alpn` is what the client agreed on with us, empty for nothing.
// `identity` (may be NULL) is shown when the application asks. NULL when memory is short.
struct tls_stream *edge_app_connect(const struct edge_app *app, struct identity *identity,
                                    struct span alpn) MUST_USE;

#endif
