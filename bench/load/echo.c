#include "bench/load/echo.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "bench/load/endpoint.h"

struct echo_conn {
    struct watch watch;
    struct echo *echo;
    char *unsent; // what the socket did not take; reading has stopped
    size_t unsent_off;
    size_t unsent_len;
};

static void end_conn(struct echo_conn *conn) {
    loop_close(&conn->watch);
    free(conn->unsent);
    free(conn);
}

static void keep_unsent(struct echo_conn *conn, const char *data, size_t len) {
    conn->unsent = malloc(len);
    if (conn->unsent == NULL) {
        loop_die("no memory");
    }
    memcpy(conn->unsent, data, len);
    conn->unsent_off = 0;
    conn->unsent_len = len;
    loop_set(conn->echo->loop, &conn->watch, EPOLLOUT);
}

static void read_some(struct echo_conn *conn) {
    char *scratch = conn->echo->scratch;
    size_t len = ENDPOINT_BUFFER;
    enum endpoint_outcome outcome = endpoint_recv(conn->watch.fd, scratch, &len);
    if (outcome == ENDPOINT_AGAIN) {
        return;
    }
    if (outcome != ENDPOINT_OK) {
        end_conn(conn);
        return;
    }
    size_t sent = len;
    if (endpoint_send(conn->watch.fd, scratch, &sent) == ENDPOINT_FAILED) {
        end_conn(conn);
    } else if (sent < len) {
        keep_unsent(conn, scratch + sent, len - sent);
    }
}

static void write_unsent(struct echo_conn *conn) {
    size_t sent = conn->unsent_len - conn->unsent_off;
    if (endpoint_send(conn->watch.fd, conn->unsent + conn->unsent_off, &sent) == ENDPOINT_FAILED) {
        end_conn(conn);
        return;
    }
    conn->unsent_off += sent;
    if (conn->unsent_off == conn->unsent_len) {
        free(conn->unsent);
        conn->unsent = NULL;
        loop_set(conn->echo->loop, &conn->watch, EPOLLIN);
    }
}

static void on_conn(struct watch *watch, uint32_t events) {
    struct echo_conn *conn = WATCHED(watch, struct echo_conn, watch);
    (void)events;
    if (conn->unsent != NULL) {
        write_unsent(conn);
    } else {
        read_some(conn);
    }
}

static void on_listener(struct watch *watch, uint32_t events) {
    struct echo *echo = WATCHED(watch, struct echo, listener);
    (void)events;
    int fd = endpoint_accept(watch->fd);
    if (fd < 0) {
        return;
    }
    struct echo_conn *conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        loop_die("no memory");
    }
    conn->echo = echo;
    conn->watch = (struct watch){.fd = fd, .on_event = on_conn};
    loop_set(echo->loop, &conn->watch, EPOLLIN);
}

void echo_init(struct echo *echo, struct loop *loop, const struct netaddr *addr) {
    echo->loop = loop;
    echo->scratch = malloc(ENDPOINT_BUFFER);
    if (echo->scratch == NULL) {
        loop_die("no memory");
    }
    echo->listener = (struct watch){.fd = endpoint_listen(addr), .on_event = on_listener};
    loop_set(loop, &echo->listener, EPOLLIN);
}
