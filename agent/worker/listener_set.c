#include "agent/worker/listener_set.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "agent/net/socket.h"

struct listener_socket {
    _Atomic int refs;
    int fd;
};

const char *listener_kind_name(enum listener_kind kind) {
    static const char *const NAMES[] = {
        [LISTENER_OUTBOUND] = "outbound", [LISTENER_EXPLICIT] = "explicit",
        [LISTENER_INBOUND] = "inbound",   [LISTENER_PORT] = "port",
        [LISTENER_TUNNEL] = "tunnel",
    };
    return NAMES[kind];
}

static void socket_unref(struct listener_socket *sock) {
    if (sock != NULL && atomic_fetch_sub(&sock->refs, 1) == 1) {
        socket_close(sock->fd);
        free(sock);
    }
}

static struct listener_socket *socket_new(const struct netaddr *addr, bool shared,
                                          struct err *err) {
    struct listener_socket *sock = calloc(1, sizeof(*sock));
    if (sock == NULL) {
        ERR_NO_MEMORY(err, "listening");
        return NULL;
    }
    sock->refs = 1;
    sock->fd = socket_listen(addr, shared, err);
    if (sock->fd < 0) {
        free(sock);
        return NULL;
    }
    // What is accepted inherits it, and costs no call of its own.
    socket_keepalive(sock->fd, SOCKET_KEEPALIVE_IDLE_S, SOCKET_KEEPALIVE_INTERVAL_S,
                     SOCKET_KEEPALIVE_PROBES);
    return sock;
}

struct listener_set *listener_set_ref(struct listener_set *set) {
    atomic_fetch_add(&set->refs, 1);
    return set;
}

void listener_set_unref(struct listener_set *set) {
    if (set == NULL || atomic_fetch_sub(&set->refs, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < set->num; i++) {
        for (unsigned w = 0; set->items[i].sockets != NULL && w < set->workers; w++) {
            socket_unref(set->items[i].sockets[w]);
        }
        free(set->items[i].sockets);
    }
    free(set->items);
    free(set);
}

static const struct listener *find(const struct listener_set *set, const struct netaddr *addr) {
    for (size_t i = 0; set != NULL && i < set->num; i++) {
        if (netaddr_equal(&set->items[i].addr, addr)) {
            return &set->items[i];
        }
    }
    return NULL;
}

// A second agent would share the port silently (SO_REUSEPORT): an exclusive bind finds it out.
static bool is_free(const struct netaddr *addr, struct err *err) {
    int fd = socket_listen(addr, false, err);
    socket_close(fd);
    return fd >= 0;
}

static bool bind_sockets(struct listener *listener, unsigned workers,
                         const struct listener_set *old, struct err *err) {
    const struct listener *kept = find(old, &listener->addr);
    bool shared = workers > 1;
    if (kept == NULL && shared && !is_free(&listener->addr, err)) {
        return false;
    }
    for (unsigned w = 0; w < workers; w++) {
        if (kept != NULL) {
            listener->sockets[w] = kept->sockets[w];
            atomic_fetch_add(&listener->sockets[w]->refs, 1);
            continue;
        }
        listener->sockets[w] = socket_new(&listener->addr, shared, err);
        if (listener->sockets[w] == NULL) {
            return false;
        }
    }
    return true;
}

struct plan { // what is still to be bound
    struct listener_set *set;
    const struct listener_set *old;
    struct err *err;
};

static bool add(struct plan *plan, struct listener listener) {
    struct listener_set *set = plan->set;
    struct listener *items = reallocarray(set->items, set->num + 1, sizeof(*items));
    if (items == NULL) {
        return ERR_NO_MEMORY(plan->err, "listening");
    }
    set->items = items;
    listener.sockets = calloc(set->workers, sizeof(*listener.sockets));
    if (listener.sockets == NULL) {
        return ERR_NO_MEMORY(plan->err, "listening");
    }
    items[set->num++] = listener;
    return bind_sockets(&items[set->num - 1], set->workers, plan->old, plan->err);
}

static bool add_list(struct plan *plan, enum listener_kind kind, const struct address_list *list) {
    for (size_t i = 0; i < list->num; i++) {
        if (!add(plan, (struct listener){.kind = kind, .addr = list->items[i]})) {
            return false;
        }
    }
    return true;
}

static bool add_outbound(struct plan *plan, const struct config_outbound *config) {
    for (size_t i = 0; i < config->num_listeners; i++) {
        if (!add(plan, (struct listener){.kind = LISTENER_EXPLICIT,
                                         .addr = config->listeners[i].listen,
                                         .destination = config->listeners[i].destination})) {
            return false;
        }
    }
    return add_list(plan, LISTENER_OUTBOUND, &config->listen);
}

static bool add_inbound(struct plan *plan, const struct config_inbound *config) {
    for (size_t i = 0; i < config->num_ports; i++) {
        if (config->ports[i].has_listen &&
            !add(plan, (struct listener){.kind = LISTENER_PORT,
                                         .addr = config->ports[i].listen,
                                         .port = config->ports[i].port})) {
            return false;
        }
    }
    return add_list(plan, LISTENER_INBOUND, &config->listen) &&
           add_list(plan, LISTENER_TUNNEL, &config->tunnel);
}

struct listener_set *listener_set_new(const struct config *config, unsigned workers, bool inbound,
                                      const struct listener_set *old, struct err *err) {
    OWNED(listener_set_unref) struct listener_set *set = calloc(1, sizeof(*set));
    if (set == NULL) {
        ERR_NO_MEMORY(err, "listening");
        return NULL;
    }
    set->refs = 1;
    set->workers = workers;
    struct plan plan = {.set = set, .old = old, .err = err};
    if (!add_outbound(&plan, &config->outbound) ||
        (inbound && !add_inbound(&plan, &config->inbound))) {
        return NULL;
    }
    return take(&set);
}

int listener_fd(const struct listener *listener, unsigned worker) {
    return listener->sockets[worker]->fd;
}

static const char *mode_of(const struct listener *listener, const struct config *config) {
    const struct inbound_port *port = config_inbound_port(config, listener->port);
    if (listener->kind == LISTENER_PORT && port != NULL && port->tls_mode != INBOUND_FOLLOW_MODE) {
        return inbound_tls_mode_name(port->tls_mode);
    }
    if (listener->kind == LISTENER_PORT || listener->kind == LISTENER_INBOUND) {
        return config->inbound.strict ? "strict" : "permissive";
    }
    return "";
}

void listener_set_render(const struct listener_set *set, const struct config *config,
                         struct view *out) {
    for (size_t i = 0; i < set->num; i++) {
        struct listener_view *view = view_add_listener(out);
        if (view == NULL) {
            return;
        }
        view->kind = listener_kind_name(set->items[i].kind);
        view->address = set->items[i].addr;
        view->destination = set->items[i].destination;
        view->mode = mode_of(&set->items[i], config);
        view->accepting = true;
    }
}
