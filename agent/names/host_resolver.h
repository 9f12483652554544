// Keeps a host table true, on a thread of its own: each name is asked for again when its answer's
// TTL is over, and sooner or later after a failure, which changes no address. Names that are due
// together are asked for together, so that a server that does not answer delays the others by
// seconds at most.
#ifndef AGENT_NAMES_HOST_RESOLVER_H
#define AGENT_NAMES_HOST_RESOLVER_H

#include "agent/names/host_table.h"
#include "base/err.h"
#include "base/mailbox.h"
#include "base/own.h"

// Where tables go, the latest one only. `wake` is called from the resolver's thread.
struct host_resolver_sink {
    struct mailbox tables; // struct host_table, a reference
    void (*wake)(void *arg);
    void *arg;
};

struct host_resolver;

// Begins with what `table` knows (a reference is taken). `sink` outlives the resolver. NULL with
// the sentence on error.
struct host_resolver *host_resolver_start(struct host_table *table, struct host_resolver_sink *sink,
                                          struct err *err) MUST_USE;
// Joins the thread; a lookup that runs is called off.
void host_resolver_free(struct host_resolver *resolver);
OWN_DEFINE(struct host_resolver, host_resolver_free)

#endif
