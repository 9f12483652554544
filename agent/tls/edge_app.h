// TLS towards a server that the configuration's lists judge: the application itself (appTls:
// reencrypt) or one outside (outbound.destinations[]). The client side of it; loaded as a whole,
// then immutable; its owner outlives every stream.
#ifndef AGENT_TLS_EDGE_APP_H
#define AGENT_TLS_EDGE_APP_H

#include <stdbool.h>

#include <openssl/base.h>

#include "agent/tls/tls_stream.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/netaddr.h"
#include "base/span.h"
#include "certmgr/anchors.h"
#include "certmgr/identity.h"
#include "certmgr/subject_rule.h"

struct edge_certificate;

struct edge_app {
    struct anchors *anchors; // owned; NULL: the server's certificate is not verified
    const char *server_name; // borrowed; sent as SNI, and verified unless it is pinned; NULL: none
    // The server's subject; 0: its name counts. A server_name counts beside it.
    const struct subject_rule *subjects; // borrowed
    size_t num_subjects;
    const struct edge_certificate *own; // borrowed; shown when the server asks; NULL: how->identity
    struct buf alpn;                    // in the wire's form, offered where `how` says none
    const char *whom;                   // static text for messages: "the application"
    bool needs_tls_1_3;
    SSL_CTX *ssl; // owned; by edge_app_finish
};

// `ciphers` is for TLS 1.2; NULL: the library's own. The sentence begins with ciphers where they
// are at fault.
bool edge_app_finish(struct edge_app *app, const char *ciphers, struct err *err) MUST_USE;
void edge_app_fini(struct edge_app *app);

struct edge_app_how {
    struct identity *identity; // shown when the server asks; NULL: none is
    struct span alpn;          // what the client agreed on with us; empty: nothing
    // Where the app has no server_name: the name that is sent and verified, else the address that
    // is verified.
    const char *host;
    const struct netaddr *addr;
};
// A stream that connects. NULL when memory is short.
struct tls_stream *edge_app_connect(const struct edge_app *app,
                                    const struct edge_app_how *how) MUST_USE;

#endif
