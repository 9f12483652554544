// Every listening socket of the data plane: what the configuration asks for, one socket per worker
// (SO_REUSEPORT), or those that were handed in. Immutable and shared by reference count, apart from
// snapshots: a listener must close when it is dropped, however long connections live. A reload
// makes a new set that shares the sockets it keeps, so nothing waiting in their queues is lost, and
// nothing changes when a new address cannot be bound.
#ifndef AGENT_WORKER_LISTENER_SET_H
#define AGENT_WORKER_LISTENER_SET_H

#include "agent/config/config.h"
#include "agent/net/handed.h"
#include "agent/observe/view.h"
#include "base/err.h"

enum listener_kind {
    LISTENER_OUTBOUND, // redirected connections of the application
    LISTENER_EXPLICIT, // outbound.listeners
    LISTENER_INBOUND,  // redirected connections to the application
    LISTENER_PORT,     // inbound.ports[].listen
    LISTENER_TUNNEL,
};

struct listener_socket; // a descriptor shared by reference count

struct listener {
    enum listener_kind kind;
    struct netaddr addr;
    struct netaddr destination; // LISTENER_EXPLICIT; of a host name only the port counts
    uint16_t port;              // LISTENER_PORT: the application's port
    // Worker w of n serves slots w, w + n, w + 2n...; at least one each. Several slots share a
    // socket when fewer were handed in than there are workers.
    struct listener_socket **slots;
    size_t num_slots;
};

struct listener_set {
    _Atomic int refs;
    struct listener *items;
    size_t num;
    unsigned workers;
    bool lacks_ip6; // so IPv6 addresses of outbound.listen, inbound.listen, tunnel are left out
};

struct listener_needs {
    unsigned workers;
    bool inbound;                   // the kinds that bring connections to the application, too
    const struct listener_set *old; // whose sockets are kept; may be NULL
    struct handed *handed;          // taken from before anything is bound; may be NULL
};

// NULL with the sentence on error: nothing has changed, but what was taken from `handed` is closed.
struct listener_set *listener_set_new(const struct config *config,
                                      const struct listener_needs *needs, struct err *err) MUST_USE;
// Of a process that accepts nothing: not yet, or not any more.
struct listener_set *listener_set_new_empty(void) MUST_USE;
struct listener_set *listener_set_ref(struct listener_set *set);
void listener_set_unref(struct listener_set *set);
OWN_DEFINE(struct listener_set, listener_set_unref)

int listener_fd(const struct listener *listener, size_t slot); // borrowed
// How many sockets the set has, and the descriptor of the i-th, each once; to be handed over.
size_t listener_set_num_sockets(const struct listener_set *set);
int listener_set_socket(const struct listener_set *set, size_t i);
void listener_set_render(const struct listener_set *set, const struct config *config,
                         struct view *out);

#endif
