// What is known of the host names of a configuration: each with its addresses, until when they are
// believed, and what went wrong. Immutable once handed on, shared by reference count; a resolver
// makes the next one. A name that DNS has never answered for is not known: nothing may be concluded
// from its having no address.
#ifndef AGENT_NAMES_HOST_TABLE_H
#define AGENT_NAMES_HOST_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/config/config.h"
#include "agent/observe/view.h"
#include "base/netaddr.h"
#include "base/own.h"
#include "certmgr/resolve.h"

#define HOST_ADDRESSES_MAX 64
// Applications go on using an address for a while after DNS has another one.
#define HOST_FORMER_MS 60000

struct host_address {
    struct netaddr ip;       // port 0
    int64_t former_until_ms; // monotonic; 0: the last answer has it
};

struct host_entry {
    char *name;
    struct host_address addresses[HOST_ADDRESSES_MAX]; // the last answer's first, in its order
    size_t num, num_current;
    bool is_known;      // there was an answer, be it that there is no such name
    int64_t due_ms;     // monotonic: when it is asked for again
    uint32_t num_fails; // in a row
    char last_error[RESOLVE_WHY_MAX];
};

struct host_table {
    atomic_uint num_refs;
    struct host_entry *entries; // sorted by name
    size_t num;
    uint64_t num_found, num_absent, num_failed; // lookups since the start
};

// The names of outbound.destinations and outbound.listeners, each once; what `before` (may be NULL)
// knows of them is kept. NULL when memory is short.
struct host_table *host_table_new(const struct config *config,
                                  const struct host_table *before) MUST_USE;
struct host_table *host_table_copy(const struct host_table *table) MUST_USE; // NULL: no memory
struct host_table *host_table_ref(struct host_table *table);
void host_table_unref(struct host_table *table);
OWN_DEFINE(struct host_table, host_table_unref)

// Takes what a lookup gave into an entry of a table that nobody else has yet, and sets when the
// next one is due: by TTL, within bounds.
void host_table_learn(struct host_table *table, struct host_entry *entry,
                      const struct resolve_job *job, int64_t now_ms);

// NULL: no such name, or no table. Case does not count.
const struct host_entry *host_table_find(const struct host_table *table, const char *name);
// The address is one of the host's, or was until a moment ago. The port is not looked at.
bool host_entry_has(const struct host_entry *entry, const struct netaddr *addr);
// Both lead every connection the same way.
bool host_table_is_same(const struct host_table *a, const struct host_table *b);

void host_table_render(const struct host_table *table, struct view *out);

#endif
