#include "agent/worker/listener_set.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "agent/net/socket.h"
#include "base/text.h"

struct listener_socket {
    _Atomic int refs;
    int fd;
};

static const char *kind_name(enum listener_kind kind) {
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

// Takes `fd`.
static struct listener_socket *socket_of(int fd, struct err *err) {
    struct listener_socket *sock = calloc(1, sizeof(*sock));
    if (sock == NULL) {
        socket_close(fd);
        ERR_NO_MEMORY(err, "listening");
        return NULL;
    }
    sock->refs = 1;
    sock->fd = fd;
    // What is accepted inherits it, and costs no call of its own.
    socket_keepalive(fd, SOCKET_KEEPALIVE_IDLE_S, SOCKET_KEEPALIVE_INTERVAL_S,
                     SOCKET_KEEPALIVE_PROBES);
    return sock;
}

static struct listener_socket *socket_share(struct listener_socket *sock) {
    atomic_fetch_add(&sock->refs, 1);
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
        for (size_t slot = 0; slot < set->items[i].num_slots; slot++) {
            socket_unref(set->items[i].slots[slot]);
        }
        free(set->items[i].slots);
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

static bool add_slot(struct listener *listener, struct listener_socket *sock, struct err *err) {
    if (sock == NULL) {
        return false;
    }
    struct listener_socket **slots =
        reallocarray(listener->slots, listener->num_slots + 1, sizeof(struct listener_socket *));
    if (slots == NULL) {
        socket_unref(sock);
        return ERR_NO_MEMORY(err, "listening");
    }
    listener->slots = slots;
    slots[listener->num_slots++] = sock;
    return true;
}

static bool keep_slots(struct listener *listener, const struct listener *kept, struct err *err) {
    for (size_t i = 0; i < kept->num_slots; i++) {
        if (!add_slot(listener, socket_share(kept->slots[i]), err)) {
            return false;
        }
    }
    return true;
}

// Every socket that was handed in is served, since connections may wait in its queue. None is bound
// beside them: its queue would be lost if this process does not get to serve it.
static bool take_slots(struct listener *listener, const struct listener_needs *needs,
                       struct err *err) {
    for (int fd; (fd = handed_take(needs->handed, &listener->addr)) >= 0;) {
        if (!add_slot(listener, socket_of(fd, err), err)) {
            return false;
        }
    }
    size_t num = listener->num_slots;
    for (size_t i = 0; num > 0 && num + i < needs->workers; i++) {
        if (!add_slot(listener, socket_share(listener->slots[i % num]), err)) {
            return false;
        }
    }
    return true;
}

static bool bind_slots(struct listener *listener, unsigned workers, struct err *err) {
    bool shared = workers > 1;
    if (shared && !is_free(&listener->addr, err)) {
        return false;
    }
    for (unsigned w = 0; w < workers; w++) {
        int fd = socket_listen(&listener->addr, shared, err);
        if (fd < 0 || !add_slot(listener, socket_of(fd, err), err)) {
            return false;
        }
    }
    return true;
}

static bool fill_slots(struct listener *listener, const struct listener_needs *needs,
                       struct err *err) {
    const struct listener *kept = find(needs->old, &listener->addr);
    if (kept != NULL) {
        return keep_slots(listener, kept, err);
    }
    return take_slots(listener, needs, err) &&
           (listener->num_slots > 0 || bind_slots(listener, needs->workers, err));
}

struct plan { // what is still to be bound
    struct listener_set *set;
    const struct listener_needs *needs;
    struct err *err;
};

static bool add(struct plan *plan, struct listener listener) {
    struct listener_set *set = plan->set;
    struct listener *items = reallocarray(set->items, set->num + 1, sizeof(*items));
    if (items == NULL) {
        return ERR_NO_MEMORY(plan->err, "listening");
    }
    set->items = items;
    items[set->num++] = listener;
    return fill_slots(&items[set->num - 1], plan->needs, plan->err);
}

static bool add_list(struct plan *plan, enum listener_kind kind, const struct address_list *list) {
    for (size_t i = 0; i < list->num; i++) {
        if (socket_lacks_ip6(&list->items[i])) {
            plan->set->lacks_ip6 = true;
        } else if (!add(plan, (struct listener){.kind = kind, .addr = list->items[i]})) {
            return false;
        }
    }
    return true;
}

static bool add_outbound(struct plan *plan, const struct config_outbound *config) {
    for (size_t i = 0; i < config->num_listeners; i++) {
        if (!add(plan, (struct listener){.kind = LISTENER_EXPLICIT,
                                         .addr = config->listeners[i].listen,
                                         .destination = config->listeners[i].destination.addr})) {
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

static struct listener_set *set_new(unsigned workers) {
    struct listener_set *set = calloc(1, sizeof(*set));
    if (set != NULL) {
        set->refs = 1;
        set->workers = workers;
    }
    return set;
}

struct listener_set *listener_set_new(const struct config *config,
                                      const struct listener_needs *needs, struct err *err) {
    OWNED(listener_set_unref) struct listener_set *set = set_new(needs->workers);
    if (set == NULL) {
        ERR_NO_MEMORY(err, "listening");
        return NULL;
    }
    struct plan plan = {.set = set, .needs = needs, .err = err};
    if (!add_outbound(&plan, &config->outbound) ||
        (needs->inbound && !add_inbound(&plan, &config->inbound))) {
        return NULL;
    }
    return take(&set);
}

struct listener_set *listener_set_new_empty(void) {
    return set_new(0);
}

int listener_fd(const struct listener *listener, size_t slot) {
    return listener->slots[slot]->fd;
}

// A slot beyond the first with the same socket counts for nothing.
static bool is_first(const struct listener *listener, size_t slot) {
    for (size_t i = 0; i < slot; i++) {
        if (listener->slots[i] == listener->slots[slot]) {
            return false;
        }
    }
    return true;
}

// The descriptor of the i-th socket; -1 when there are no more than `*num`.
static int nth_socket(const struct listener_set *set, size_t nth, size_t *num) {
    *num = 0;
    for (size_t i = 0; i < set->num; i++) {
        const struct listener *listener = &set->items[i];
        for (size_t slot = 0; slot < listener->num_slots; slot++) {
            if (is_first(listener, slot) && (*num)++ == nth) {
                return listener_fd(listener, slot);
            }
        }
    }
    return -1;
}

size_t listener_set_num_sockets(const struct listener_set *set) {
    size_t num = 0;
    (void)nth_socket(set, SIZE_MAX, &num);
    return num;
}

int listener_set_socket(const struct listener_set *set, size_t i) {
    size_t num = 0;
    return nth_socket(set, i, &num);
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

static const char *host_of(const struct listener *listener, const struct config *config) {
    const struct outbound_listener *said = listener->kind == LISTENER_EXPLICIT
                                               ? config_outbound_listener(config, &listener->addr)
                                               : NULL;
    return said == NULL || said->destination.host == NULL ? "" : said->destination.host;
}

void listener_set_render(const struct listener_set *set, const struct config *config,
                         struct view *out) {
    for (size_t i = 0; i < set->num; i++) {
        struct listener_view *view = view_add_listener(out);
        if (view == NULL) {
            return;
        }
        view->kind = kind_name(set->items[i].kind);
        view->address = set->items[i].addr;
        view->destination = set->items[i].destination;
        text_copy(view->host, sizeof(view->host), host_of(&set->items[i], config));
        view->mode = mode_of(&set->items[i], config);
        view->accepting = true;
    }
}
