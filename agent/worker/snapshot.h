// Everything a worker decides by: configuration, identity, host names. Immutable, shared
// by reference count. A connection keeps the snapshot that admitted it.
#ifndef AGENT_WORKER_SNAPSHOT_H
#define AGENT_WORKER_SNAPSHOT_H

#include <stdatomic.h>

#include "agent/config/config.h"
#include "agent/edge/edge_set.h"
#include "agent/names/host_table.h"
#include "agent/observe/observe.h"
#include "agent/tls/edge_staples.h"
#include "agent/tls/tls_context.h"
#include "certmgr/identity_store.h"

struct snapshot {
    _Atomic int refs;
    struct config *config;
    struct tls_context *context; // NULL: no identity; `state` says why
    enum identity_state state;
    struct edge_set *edges;       // NULL: TLS ends at no port
    struct host_table *hosts;     // NULL: the configuration names none
    struct edge_staples *staples; // of `edges`; NULL: no responder is asked
};

// Takes a reference of each; all but `config` may be NULL. NULL when memory is short.
struct snapshot *snapshot_new(struct config *config, struct tls_context *context,
                              enum identity_state state, struct edge_set *edges,
                              struct host_table *hosts) MUST_USE;
// Before anybody else has the snapshot; takes a reference.
void snapshot_set_staples(struct snapshot *snapshot, struct edge_staples *staples);
struct snapshot *snapshot_ref(struct snapshot *snapshot);
void snapshot_unref(struct snapshot *snapshot);
OWN_DEFINE(struct snapshot, snapshot_unref)

// The context to handshake with at `now_s` (Unix seconds), borrowed; NULL: `*why` says what is
// missing. Never one whose certificate has expired.
struct tls_context *snapshot_context(const struct snapshot *snapshot, int64_t now_s,
                                     enum close_reason *why);

#endif
