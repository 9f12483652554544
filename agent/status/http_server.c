// Under descriptor exhaustion the status port must still answer (that is when people look at it):
// one descriptor is kept in reserve and given up for the next connection.
#include "agent/status/http_server.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <ev.h>

#include "agent/net/socket.h"
#include "agent/status/http_connection.h"
#include "base/list.h"

#define ACCEPT_BATCH 16
#define ACCEPT_RETRY_S 0.2

struct http_server {
    struct ev_loop *loop;
    struct http_server_options options;
    struct list listeners;
    size_t output_len;
    int reserve_fd; // -1: given up for a connection
    bool held;      // accepts nothing
    bool retired;   // and never will again
};

struct http_listener {
    struct list_node node;
    struct http_server *server;
    int fd;
    struct netaddr address;
    struct list connections; // oldest first
    unsigned num_connections;
    struct http_connection_host host;
    ev_io io;
    ev_timer retry; // active: accepting is paused
};

static void reserve(struct http_server *server) {
    if (server->reserve_fd < 0) {
        server->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
}

static void resume(struct http_listener *listener) {
    ev_timer_stop(listener->server->loop, &listener->retry);
    if (!listener->server->held) {
        ev_io_start(listener->server->loop, &listener->io);
    }
}

static void pause_accept(struct http_listener *listener) {
    ev_io_stop(listener->server->loop, &listener->io);
    ev_timer_stop(listener->server->loop, &listener->retry);
    ev_timer_set(&listener->retry, ACCEPT_RETRY_S, 0.0);
    ev_timer_start(listener->server->loop, &listener->retry);
}

static void on_retry(struct ev_loop *loop UNUSED, ev_timer *timer, int events UNUSED) {
    struct http_listener *listener = timer->data;
    reserve(listener->server);
    resume(listener);
}

static void on_gone(void *arg) {
    struct http_listener *listener = arg;
    listener->num_connections--;
    reserve(listener->server);
}

static bool is_full(const struct http_listener *listener) {
    return listener->num_connections >= listener->server->options.connections_max;
}

// The connection that has waited longest without asking anything; NULL: all are being answered.
static struct http_connection *oldest_waiting(struct http_listener *listener) {
    LIST_FOR_EACH(&listener->connections, it) {
        struct http_connection *connection = http_connection_of(it);
        if (http_connection_is_waiting(connection)) {
            return connection;
        }
    }
    return NULL;
}

static enum socket_outcome accept_one(struct http_listener *listener, int *fd,
                                      struct netaddr *peer) {
    enum socket_outcome outcome = socket_accept(listener->fd, fd, peer);
    if (outcome != SOCKET_EXHAUSTED || listener->server->reserve_fd < 0) {
        return outcome;
    }
    close(listener->server->reserve_fd);
    listener->server->reserve_fd = -1;
    return socket_accept(listener->fd, fd, peer);
}

// At the limit the oldest silent connection gives way, so that a few of them cannot lock a probe
// out. False when nothing more is to be had in this turn.
static bool take_one(struct http_listener *listener) {
    int fd = -1;
    struct netaddr peer;
    struct http_connection *victim = is_full(listener) ? oldest_waiting(listener) : NULL;
    if (is_full(listener) && victim == NULL) {
        pause_accept(listener);
        return false;
    }
    switch (accept_one(listener, &fd, &peer)) {
    case SOCKET_OK:
        break;
    case SOCKET_AGAIN:
        return false;
    case SOCKET_EXHAUSTED:
        pause_accept(listener);
        return false;
    case SOCKET_FAILED:
        return true; // that one is gone; there may be others
    }
    if (victim != NULL) {
        http_connection_free(victim);
        listener->num_connections--;
    }
    struct http_connection *connection = http_connection_new(&listener->host, fd, &peer);
    if (connection != NULL) {
        list_append(&listener->connections, http_connection_node(connection));
        listener->num_connections++;
    }
    return true;
}

static void on_accept(struct ev_loop *loop UNUSED, ev_io *io, int events UNUSED) {
    struct http_listener *listener = io->data;
    reserve(listener->server);
    for (int i = 0; i < ACCEPT_BATCH && take_one(listener); i++) {
    }
}

struct http_server *http_server_new(struct ev_loop *loop, struct http_server_options options) {
    struct http_server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        return NULL;
    }
    server->loop = loop;
    server->options = options;
    if (options.deadline_ms == 0) {
        server->options.deadline_ms = HTTP_DEADLINE_MS;
    }
    if (options.connections_max == 0) {
        server->options.connections_max = HTTP_CONNECTIONS_MAX;
    }
    list_init(&server->listeners);
    server->reserve_fd = -1;
    reserve(server);
    return server;
}

void http_server_free(struct http_server *server) {
    if (server == NULL) {
        return;
    }
    LIST_FOR_EACH(&server->listeners, it) {
        http_server_close(LIST_ENTRY(it, struct http_listener, node));
    }
    socket_close(server->reserve_fd);
    free(server);
}

struct http_listener *http_server_adopt(struct http_server *server, int fd, unsigned tag,
                                        struct err *err) {
    struct http_listener *listener = calloc(1, sizeof(*listener));
    if (listener == NULL) {
        socket_close(fd);
        (void)ERR_NO_MEMORY(err, "opening a listener");
        return NULL;
    }
    listener->fd = fd;
    listener->server = server;
    (void)socket_local_address(fd, &listener->address);
    list_init(&listener->connections);
    listener->host = (struct http_connection_host){
        .loop = server->loop,
        .options = &server->options,
        .output_len = &server->output_len,
        .retired = &server->retired,
        .tag = tag,
        .gone = on_gone,
        .arg = listener,
    };
    ev_init(&listener->retry, on_retry);
    listener->retry.data = listener;
    ev_io_init(&listener->io, on_accept, fd, EV_READ);
    listener->io.data = listener;
    list_append(&server->listeners, &listener->node);
    resume(listener);
    return listener;
}

struct http_listener *http_server_listen(struct http_server *server, const struct netaddr *address,
                                         unsigned tag, struct err *err) {
    int fd = socket_listen(address, false, err);
    return fd < 0 ? NULL : http_server_adopt(server, fd, tag, err);
}

int http_listener_fd(const struct http_listener *listener) {
    return listener->fd;
}

void http_server_hold(struct http_server *server) {
    server->held = true;
    LIST_FOR_EACH(&server->listeners, it) {
        struct http_listener *listener = LIST_ENTRY(it, struct http_listener, node);
        ev_io_stop(server->loop, &listener->io);
        ev_timer_stop(server->loop, &listener->retry);
    }
}

void http_server_release(struct http_server *server) {
    server->held = false;
    LIST_FOR_EACH(&server->listeners, it) {
        resume(LIST_ENTRY(it, struct http_listener, node));
    }
}

void http_server_retire(struct http_server *server) {
    http_server_hold(server);
    server->retired = true;
    LIST_FOR_EACH(&server->listeners, it) {
        struct http_listener *listener = LIST_ENTRY(it, struct http_listener, node);
        socket_close(listener->fd);
        listener->fd = -1;
    }
}

bool http_server_is_busy(const struct http_server *server) {
    LIST_FOR_EACH(&server->listeners, it) {
        LIST_FOR_EACH(&LIST_ENTRY(it, struct http_listener, node)->connections, each) {
            if (!http_connection_is_idle(http_connection_of(each))) {
                return true;
            }
        }
    }
    return false;
}

void http_server_close(struct http_listener *listener) {
    if (listener == NULL) {
        return;
    }
    LIST_FOR_EACH(&listener->connections, it) {
        http_connection_free(http_connection_of(it));
    }
    list_remove(&listener->node);
    ev_io_stop(listener->server->loop, &listener->io);
    ev_timer_stop(listener->server->loop, &listener->retry);
    socket_close(listener->fd);
    free(listener);
}

struct netaddr http_listener_address(const struct http_listener *listener) {
    return listener->address;
}

unsigned http_listener_connections(const struct http_listener *listener) {
    return listener->num_connections;
}
