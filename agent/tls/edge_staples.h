// OCSP responses of the moment for the certificates of ports whose responses come from a responder.
// Immutable once handed on, shared by reference count; a certificate knows its place by its
// `staple_slot`.
#ifndef AGENT_TLS_EDGE_STAPLES_H
#define AGENT_TLS_EDGE_STAPLES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/base.h>
#include <openssl/pool.h>

#include "base/own.h"

struct edge_staple {
    CRYPTO_BUFFER *response; // DER, owned; NULL: there is none to send
    int64_t until;           // Unix seconds: not sent from then on
};

struct edge_staples {
    atomic_uint num_refs;
    struct edge_staple *items; // that of slot n at n - 1
    size_t num;
};

// `num` of them, all empty. NULL when memory is short.
struct edge_staples *edge_staples_new(size_t num) MUST_USE;
struct edge_staples *edge_staples_ref(struct edge_staples *staples);
void edge_staples_unref(struct edge_staples *staples);
OWN_DEFINE(struct edge_staples, edge_staples_unref)

// What to send at `now` (Unix seconds); NULL: nothing. `staples` may be NULL.
const CRYPTO_BUFFER *edge_staples_find(const struct edge_staples *staples, size_t slot,
                                       int64_t now);

#endif
