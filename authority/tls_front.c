#include "authority/tls_front.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/bytestring.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

#include "base/clock.h"
#include "base/list.h"
#include "certmgr/tls_pump.h"

#define EVENTS_PER_TURN 64
#define ACCEPTS_PER_TURN 32
#define BACKLOG 128

OWN_DEFINE(SSL_CTX, SSL_CTX_free)
OWN_DEFINE(EVP_PKEY, EVP_PKEY_free)

struct tls_front {
    struct tls_front_handler handler;
    int epoll_fd;
    int listener;
    bool is_paused; // not accepting until the next tick: descriptors have run out
    SSL_CTX *context;
    struct list connections;
    unsigned num_connections;
};

struct watch {
    int fd;     // -1: not known yet
    int events; // 0: not in the epoll set
};

struct connection {
    struct list_node node;
    struct tls_front *owner;
    struct netaddr peer;
    struct tls_pump *pump;
    int64_t began_ms; // monotonic
    bool is_served;
    bool has_ended; // freed at the end of the turn, since later events may name it
    struct watch watch[TLS_PUMP_FDS];
};

static void refuse(const struct tls_front *front, const struct netaddr *peer, const char *reason) {
    front->handler.refused(front->handler.arg, peer, reason);
}

// --- one connection

static void end(struct connection *connection, const char *reason) {
    if (!connection->has_ended && !connection->is_served) {
        refuse(connection->owner, &connection->peer, reason);
    }
    connection->has_ended = true;
}

static void connection_free(struct connection *connection) {
    list_remove(&connection->node);
    connection->owner->num_connections--;
    tls_pump_free(connection->pump); // closes what is watched
    free(connection);
}

// A descriptor of which nothing is wanted leaves the set: a hang-up would be told again and again.
static bool watch_set(struct connection *connection, struct watch *watch,
                      const struct pollfd *wanted) {
    int events = wanted->fd >= 0 ? wanted->events : 0;
    if (events == watch->events) {
        return true;
    }
    int op = events == 0 ? EPOLL_CTL_DEL : watch->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    struct epoll_event event = {.events = (uint32_t)events, .data.ptr = connection};
    watch->fd = events != 0 ? wanted->fd : watch->fd;
    watch->events = events;
    return epoll_ctl(connection->owner->epoll_fd, op, watch->fd, &event) == 0;
}

// Shaken hands: gives the other end of the pair to who serves.
static bool serve(struct connection *connection) {
    const struct tls_front_handler *handler = &connection->owner->handler;
    struct err err = {0};
    int fd = tls_pump_attach(connection->pump, &err);
    if (fd < 0) {
        end(connection, err.msg);
        return false;
    }
    connection->is_served = true;
    return handler->serve(handler->arg, fd);
}

// After every event: one place that goes on.
static void step(struct connection *connection) {
    enum tls_pump_state state = tls_pump_step(connection->pump);
    if (state == TLS_PUMP_OPEN && !connection->is_served) {
        state = serve(connection) ? tls_pump_step(connection->pump) : TLS_PUMP_ENDED;
    }
    if (state == TLS_PUMP_ENDED) {
        end(connection, tls_pump_error(connection->pump));
        return;
    }
    struct pollfd wanted[TLS_PUMP_FDS];
    tls_pump_arm(connection->pump, wanted);
    for (size_t i = 0; i < TLS_PUMP_FDS; i++) {
        if (!watch_set(connection, &connection->watch[i], &wanted[i])) {
            end(connection, "cannot watch a connection");
        }
    }
}

// --- accepting

static const char *check_limits(const struct tls_front *front, const struct netaddr *peer) {
    unsigned num_same = 0;
    if (front->num_connections >= TLS_FRONT_CONNECTIONS_MAX) {
        return "there are too many connections";
    }
    LIST_FOR_EACH(&front->connections, it) {
        num_same += netaddr_ip_equal(&LIST_ENTRY(it, struct connection, node)->peer, peer);
    }
    return num_same >= TLS_FRONT_PER_ADDRESS_MAX ? "too many connections of this address" : NULL;
}

// Takes the socket.
static struct tls_pump *pump_new(const struct tls_front *front, int fd) {
    SSL *ssl = SSL_new(front->context);
    if (ssl == NULL) {
        (void)close(fd);
        return NULL;
    }
    SSL_set_accept_state(ssl);
    return tls_pump_new(ssl, fd);
}

// Takes the socket.
static void admit(struct tls_front *front, int fd, const struct netaddr *peer) {
    int on = 1;
    const char *reason = check_limits(front, peer);
    if (reason != NULL) {
        (void)close(fd);
        refuse(front, peer, reason);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct connection *connection = calloc(1, sizeof(*connection));
    struct tls_pump *pump = pump_new(front, fd);
    if (connection == NULL || pump == NULL) {
        tls_pump_free(pump);
        free(connection);
        refuse(front, peer, "cannot allocate memory");
        return;
    }
    *connection = (struct connection){
        .owner = front, .peer = *peer, .pump = pump, .began_ms = clock_mono_ms()};
    list_append(&front->connections, &connection->node);
    front->num_connections++;
    step(connection);
}

static bool listener_watch(struct tls_front *front, int op) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    return epoll_ctl(front->epoll_fd, op, front->listener, &event) == 0;
}

static void accept_some(struct tls_front *front) {
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage sa = {0};
        struct netaddr peer = {0};
        socklen_t len = sizeof(sa);
        int fd =
            accept4(front->listener, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            (void)netaddr_from_sockaddr(&peer, &sa);
            admit(front, fd, &peer);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            front->is_paused = listener_watch(front, EPOLL_CTL_DEL);
            return;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

static void free_ended(struct tls_front *front) {
    LIST_FOR_EACH(&front->connections, it) {
        struct connection *connection = LIST_ENTRY(it, struct connection, node);
        if (connection->has_ended) {
            connection_free(connection);
        }
    }
}

int tls_front_fd(const struct tls_front *front) {
    return front->epoll_fd;
}

uint16_t tls_front_port(const struct tls_front *front) {
    struct sockaddr_storage sa = {0};
    struct netaddr addr = {0};
    socklen_t len = sizeof(sa);
    return getsockname(front->listener, (struct sockaddr *)&sa, &len) == 0 &&
                   netaddr_from_sockaddr(&addr, &sa)
               ? addr.port
               : 0;
}

void tls_front_process(struct tls_front *front) {
    struct epoll_event events[EVENTS_PER_TURN];
    int num = epoll_wait(front->epoll_fd, events, EVENTS_PER_TURN, 0);
    for (int i = 0; i < num; i++) {
        struct connection *connection = events[i].data.ptr;
        if (connection == NULL) {
            accept_some(front);
        } else if (!connection->has_ended) {
            step(connection);
        }
    }
    free_ended(front);
}

void tls_front_tick(struct tls_front *front) {
    int64_t now_ms = clock_mono_ms();
    if (front->is_paused) {
        front->is_paused = !listener_watch(front, EPOLL_CTL_ADD);
    }
    LIST_FOR_EACH(&front->connections, it) {
        struct connection *connection = LIST_ENTRY(it, struct connection, node);
        int64_t most_ms = connection->is_served ? TLS_FRONT_LIFE_MS : TLS_FRONT_HANDSHAKE_MS;
        if (now_ms - connection->began_ms >= most_ms) {
            end(connection, "the TLS handshake took too long");
        }
    }
    free_ended(front);
}

// --- what is shown

static int choose_h2(SSL *ssl UNUSED, const uint8_t **out, uint8_t *out_len, const uint8_t *in,
                     unsigned in_len, void *arg UNUSED) {
    static const uint8_t h2[] = {2, 'h', '2'};
    uint8_t *chosen = NULL;
    int result = SSL_select_next_proto(&chosen, out_len, h2, sizeof(h2), in, in_len);
    *out = chosen;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

bool tls_front_set_certificate(struct tls_front *front, struct span leaf_der, struct span key_der,
                               struct err *err) {
    CBS cbs;
    CBS_init(&cbs, key_der.ptr, key_der.len);
    OWNED(EVP_PKEY_free) EVP_PKEY *key = EVP_parse_private_key(&cbs);
    OWNED(SSL_CTX_free) SSL_CTX *context = SSL_CTX_new(TLS_method());
    if (key == NULL || context == NULL || !SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) ||
        !SSL_CTX_use_certificate_ASN1(context, leaf_der.len, leaf_der.ptr) ||
        !SSL_CTX_use_PrivateKey(context, key)) {
        ERR_clear_error();
        return ERR_SET(err, ERR_ENVIRONMENT, "cannot use the certificate of the TLS server");
    }
    SSL_CTX_set_alpn_select_cb(context, choose_h2, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_free(front->context);
    front->context = take(&context);
    return true;
}

// --- the life of the front

static bool open_listener(struct tls_front *front, const struct netaddr *listen_on,
                          struct err *err) {
    struct sockaddr_storage sa;
    socklen_t len = netaddr_to_sockaddr(listen_on, &sa);
    char text[NETADDR_TEXT_MAX];
    int on = 1;
    front->listener = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    front->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (front->listener < 0 || front->epoll_fd < 0) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot make a listening socket");
    }
    (void)setsockopt(front->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (listen_on->family == NETADDR_V6) {
        (void)setsockopt(front->listener, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    if (bind(front->listener, (const struct sockaddr *)&sa, len) != 0 ||
        listen(front->listener, BACKLOG) != 0 || !listener_watch(front, EPOLL_CTL_ADD)) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot listen on %s",
                             netaddr_format(listen_on, text));
    }
    return true;
}

struct tls_front *tls_front_new(const struct netaddr *listen,
                                const struct tls_front_handler *handler, struct err *err) {
    OWNED(tls_front_free) struct tls_front *front = calloc(1, sizeof(*front));
    if (front == NULL) {
        ERR_NO_MEMORY(err, "listening");
        return NULL;
    }
    front->handler = *handler;
    front->epoll_fd = front->listener = -1;
    list_init(&front->connections);
    return open_listener(front, listen, err) ? take(&front) : NULL;
}

void tls_front_free(struct tls_front *front) {
    if (front == NULL) {
        return;
    }
    LIST_FOR_EACH(&front->connections, it) {
        connection_free(LIST_ENTRY(it, struct connection, node));
    }
    SSL_CTX_free(front->context);
    if (front->listener >= 0) {
        (void)close(front->listener);
    }
    if (front->epoll_fd >= 0) {
        (void)close(front->epoll_fd);
    }
    free(front);
}
