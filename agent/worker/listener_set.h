// Every listening socket of the data plane: what the configuration asks for, one socket per worker
// (SO_REUSEPORT). Immutable and shared by reference count, apart from snapshots: a listener must
// close when it is dropped, however long connections live. A reload makes a new set that shares the
// sockets it keeps, so nothing waiting in their queues is lost, and nothing changes when a new
// address cannot be bound.
#ifndef AGENT_WORKER_LISTENER_SET_H
#define AGENT_WORKER_LISTENER_SET_H

#include "agent/config/config.h"
#include "agent/observe/view.h"
#include "base/err.h"

enum listener_kind {
    LISTENER_OUTBOUND, // redirected connections of the application
    LISTENER_EXPLICIT, // outbound.listeners
    LISTENER_INBOUND,  // redirected connections to the application
    LISTENER_PORT,     // inbound.ports[].listen
    LISTENER_TUNNEL,
};
const char *listener_kind_name(enum listener_kind kind); // "outbound", ...

struct listener_socket; // a descriptor shared by reference count

struct listener {
    enum listener_kind kind;
    struct netaddr addr;
    struct netaddr destination;       // LISTENER_EXPLICIT
    uint16_t port;                    // LISTENER_PORT: the application's port
    struct listener_socket **sockets; // one per worker
};

struct listener_set {
    _Atomic int refs;
    struct listener *items;
    size_t num;
    unsigned workers;
};

// `old` may be NULL; `inbound`: with the kinds that bring connections to the application (a
// draining agent has none). NULL with the sentence on error: nothing has changed.
struct listener_set *listener_set_new(const struct config *config, unsigned workers, bool inbound,
                                      const struct listener_set *old, struct err *err) MUST_USE;
struct listener_set *listener_set_ref(struct listener_set *set);
void listener_set_unref(struct listener_set *set);
OWN_DEFINE(struct listener_set, listener_set_unref)

int listener_fd(const struct listener *listener, unsigned worker); // borrowed
void listener_set_render(const struct listener_set *set, const struct config *config,
                         struct view *out);

#endif
