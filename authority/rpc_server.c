#include "authority/rpc_server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <grpc/grpc.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/support/log.h>

#include "authority/rpc_tag.h"
#include "base/list.h"
#include "base/thread.h"

#define METADATA_MAX 8192 // bytes of a call's metadata
#define EVENTS_PER_TURN 64

struct rpc_server {
    struct rpc_limits limits;
    const struct rpc_handler *handler;
    struct list connections;
    unsigned num_connections;
    int epoll_fd; // holds `wake_fd` and the watch of every connection
    int wake_fd;
    grpc_server_credentials *credentials;
    grpc_completion_queue *queue;
    pthread_t poller;
    pthread_mutex_t lock;  // for the two below
    struct rpc_tag *first; // tags that came back, oldest first
    struct rpc_tag **last; // where the next one is hung
};

struct connection {
    struct list_node node;
    struct rpc_server *owner;
    grpc_server *server;
    int watch_fd; // a duplicate of the socket, to hear of its end: gRPC core does not tell
    uid_t uid;
    struct rpc_stream_host host;
    struct rpc_tag shut; // gRPC has ended everything on this connection
    unsigned num_streams;
    bool closing;
    bool is_shut;
};

// --- gRPC's thread

static void *poll_queue(void *arg) {
    struct rpc_server *server = arg;
    for (;;) {
        grpc_event event =
            grpc_completion_queue_next(server->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        if (event.type != GRPC_OP_COMPLETE) {
            return NULL;
        }
        struct rpc_tag *tag = event.tag;
        tag->ok = event.success != 0;
        tag->next = NULL;
        (void)pthread_mutex_lock(&server->lock);
        *server->last = tag;
        server->last = &tag->next;
        (void)pthread_mutex_unlock(&server->lock);
        (void)eventfd_write(server->wake_fd, 1);
    }
}

static struct rpc_tag *take_tags(struct rpc_server *server) {
    (void)pthread_mutex_lock(&server->lock);
    struct rpc_tag *first = server->first;
    server->first = NULL;
    server->last = &server->first;
    (void)pthread_mutex_unlock(&server->lock);
    return first;
}

// --- connections

static void connection_free(struct connection *connection) {
    struct rpc_server *owner = connection->owner;
    grpc_server_destroy(connection->server);
    list_remove(&connection->node);
    owner->num_connections--;
    free(connection);
}

static void free_when_done(struct connection *connection) {
    if (connection->is_shut && connection->num_streams == 0) {
        connection_free(connection);
    }
}

static void on_shut(struct rpc_tag *tag) {
    struct connection *connection =
        (struct connection *)(void *)((char *)tag - offsetof(struct connection, shut));
    connection->is_shut = true;
    free_when_done(connection);
}

// Starts the end: gRPC gives every tag back, the last one frees. Never frees by itself.
static void connection_close(struct connection *connection) {
    if (connection->closing) {
        return;
    }
    connection->closing = true;
    (void)epoll_ctl(connection->owner->epoll_fd, EPOLL_CTL_DEL, connection->watch_fd, NULL);
    (void)close(connection->watch_fd);
    grpc_server_shutdown_and_notify(connection->server, connection->owner->queue,
                                    &connection->shut);
    grpc_server_cancel_all_calls(connection->server); // cuts the connection, too
}

static void wait_for_call(struct connection *connection) {
    if (rpc_stream_listen(&connection->host)) {
        connection->num_streams++;
    } else {
        connection_close(connection);
    }
}

static void on_accepted(void *arg) {
    struct connection *connection = arg;
    if (!connection->closing) {
        wait_for_call(connection);
    }
}

static void on_freed(void *arg) {
    struct connection *connection = arg;
    connection->num_streams--;
    free_when_done(connection);
}

static grpc_server *make_grpc_server(const struct rpc_server *server) {
    static char streams[] = GRPC_ARG_MAX_CONCURRENT_STREAMS;
    static char idle[] = GRPC_ARG_MAX_CONNECTION_IDLE_MS;
    static char message[] = GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH;
    static char metadata[] = GRPC_ARG_MAX_METADATA_SIZE;
    static char channelz[] = GRPC_ARG_ENABLE_CHANNELZ;
    grpc_arg args[] = {
        {.type = GRPC_ARG_INTEGER,
         .key = streams,
         .value.integer = (int)server->limits.streams_per_connection},
        {.type = GRPC_ARG_INTEGER, .key = idle, .value.integer = server->limits.idle_ms},
        {.type = GRPC_ARG_INTEGER,
         .key = message,
         .value.integer = (int)server->limits.request_max},
        {.type = GRPC_ARG_INTEGER, .key = metadata, .value.integer = METADATA_MAX},
        {.type = GRPC_ARG_INTEGER, .key = channelz, .value.integer = 0},
    };
    grpc_channel_args all = {.num_args = sizeof(args) / sizeof(args[0]), .args = args};
    grpc_server *made = grpc_server_create(&all, NULL);
    grpc_server_register_completion_queue(made, server->queue, NULL);
    grpc_server_start(made);
    return made;
}

// A connection that is ending no longer counts for its user: who reconnects fast is not refused.
static bool check_limits(const struct rpc_server *server, uid_t uid, struct err *err) {
    unsigned num_same = 0;
    LIST_FOR_EACH(&server->connections, it) {
        const struct connection *other = LIST_ENTRY(it, struct connection, node);
        num_same += other->uid == uid && !other->closing ? 1U : 0U;
    }
    if (uid != RPC_UID_NONE && num_same >= server->limits.connections_per_uid) {
        return ERR_SET(err, ERR_ENVIRONMENT, "uid %u already has %u connections", (unsigned)uid,
                       num_same);
    }
    if (server->num_connections >= server->limits.connections) {
        return ERR_SET(err, ERR_ENVIRONMENT, "there are already %u connections",
                       server->num_connections);
    }
    return true;
}

// Watches for the other end going away, and for gRPC cutting the connection.
static bool watch(struct connection *connection, int fd, struct err *err) {
    struct epoll_event event = {.events = EPOLLRDHUP, .data.ptr = connection};
    connection->watch_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (connection->watch_fd < 0) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot watch a connection");
    }
    if (epoll_ctl(connection->owner->epoll_fd, EPOLL_CTL_ADD, connection->watch_fd, &event) != 0) {
        int errnum = errno;
        (void)close(connection->watch_fd);
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errnum, "cannot watch a connection");
    }
    return true;
}

static struct connection *connection_new(struct rpc_server *server, int fd, uid_t uid,
                                         struct err *err) {
    struct connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL) {
        ERR_NO_MEMORY(err, "accepting a connection");
        return NULL;
    }
    connection->owner = server;
    connection->uid = uid;
    connection->shut.done = on_shut;
    if (!watch(connection, fd, err)) {
        free(connection);
        return NULL;
    }
    connection->server = make_grpc_server(server);
    connection->host = (struct rpc_stream_host){
        .server = connection->server,
        .queue = server->queue,
        .handler = server->handler,
        .uid = uid,
        .accepted = on_accepted,
        .freed = on_freed,
        .arg = connection,
    };
    list_append(&server->connections, &connection->node);
    server->num_connections++;
    return connection;
}

bool rpc_server_add(struct rpc_server *server, int fd, uid_t uid, struct err *err) {
    struct connection *connection =
        check_limits(server, uid, err) ? connection_new(server, fd, uid, err) : NULL;
    if (connection == NULL) {
        (void)close(fd);
        return false;
    }
    grpc_server_add_channel_from_fd(connection->server, fd, server->credentials);
    wait_for_call(connection);
    return true;
}

// --- the loop's side

int rpc_server_fd(const struct rpc_server *server) {
    return server->epoll_fd;
}

void rpc_server_process(struct rpc_server *server) {
    struct epoll_event events[EVENTS_PER_TURN];
    int num = epoll_wait(server->epoll_fd, events, EVENTS_PER_TURN, 0);
    for (int i = 0; i < num; i++) {
        struct connection *connection = events[i].data.ptr;
        if (connection != NULL) {
            connection_close(connection); // frees nothing, so later events stay valid
        } else {
            eventfd_t count;
            (void)eventfd_read(server->wake_fd, &count);
        }
    }
    for (struct rpc_tag *tag = take_tags(server), *next; tag != NULL; tag = next) {
        next = tag->next;
        tag->done(tag); // may free what the tag is part of
    }
}

static void silence(gpr_log_func_args *args UNUSED) {
}

// gRPC starts threads of its own: they hear no signal either.
static void start_grpc(void) {
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    gpr_set_log_function(silence);
    grpc_init();
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static bool start(struct rpc_server *server, struct err *err) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->epoll_fd < 0 || server->wake_fd < 0 ||
        epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, server->wake_fd, &event) != 0) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot make an event descriptor");
    }
    start_grpc();
    server->queue = grpc_completion_queue_create_for_next(NULL);
    server->credentials = grpc_insecure_server_credentials_create();
    int errnum = thread_start(&server->poller, poll_queue, server);
    if (errnum != 0) {
        grpc_completion_queue_shutdown(server->queue);
        grpc_completion_queue_destroy(server->queue);
        server->queue = NULL;
        grpc_server_credentials_release(server->credentials);
        grpc_shutdown_blocking();
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errnum, "cannot start a thread");
    }
    return true;
}

struct rpc_server *rpc_server_new(struct rpc_limits limits, const struct rpc_handler *handler,
                                  struct err *err) {
    OWNED(rpc_server_free) struct rpc_server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        ERR_NO_MEMORY(err, "starting gRPC");
        return NULL;
    }
    server->limits = limits;
    server->handler = handler;
    server->epoll_fd = server->wake_fd = -1;
    server->last = &server->first;
    list_init(&server->connections);
    (void)pthread_mutex_init(&server->lock, NULL);
    return start(server, err) ? take(&server) : NULL;
}

static void end_connections(struct rpc_server *server) {
    LIST_FOR_EACH(&server->connections, it) {
        connection_close(LIST_ENTRY(it, struct connection, node));
    }
    while (server->num_connections > 0) {
        struct pollfd ready = {.fd = server->epoll_fd, .events = POLLIN};
        (void)poll(&ready, 1, -1);
        rpc_server_process(server);
    }
}

void rpc_server_free(struct rpc_server *server) {
    if (server == NULL) {
        return;
    }
    if (server->queue != NULL) {
        end_connections(server);
        grpc_completion_queue_shutdown(server->queue);
        (void)pthread_join(server->poller, NULL);
        grpc_completion_queue_destroy(server->queue);
        grpc_server_credentials_release(server->credentials);
        grpc_shutdown_blocking();
    }
    if (server->wake_fd >= 0) {
        (void)close(server->wake_fd);
    }
    if (server->epoll_fd >= 0) {
        (void)close(server->epoll_fd);
    }
    (void)pthread_mutex_destroy(&server->lock);
    free(server);
}
