#include "bench/load/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/load/loop.h"

#define BACKLOG 4096
#define FIRST_SOURCE 0x7f010001U // 127.1.0.1
#define NUM_SOURCES 200

static void enable(int fd, int level, int option) {
    int on = 1;
    if (setsockopt(fd, level, option, &on, sizeof(on)) != 0) {
        loop_die("cannot set a socket option: %s", strerror(errno));
    }
}

static int new_socket(const struct netaddr *addr) {
    int family = addr->family == NETADDR_V6 ? AF_INET6 : AF_INET;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        loop_die("cannot make a socket: %s", strerror(errno));
    }
    return fd;
}

int endpoint_listen(const struct netaddr *addr) {
    int fd = new_socket(addr);
    enable(fd, SOL_SOCKET, SO_REUSEADDR);
    enable(fd, IPPROTO_TCP, TCP_NODELAY); // accepted sockets inherit it
    struct sockaddr_storage sa;
    socklen_t sa_len = netaddr_to_sockaddr(addr, &sa);
    if (bind(fd, (struct sockaddr *)&sa, sa_len) != 0 || listen(fd, BACKLOG) != 0) {
        char text[NETADDR_TEXT_MAX];
        loop_die("cannot listen on %s: %s", netaddr_format(addr, text), strerror(errno));
    }
    return fd;
}

int endpoint_accept(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EAGAIN || errno == ECONNABORTED) {
            return -1;
        }
        loop_die("cannot accept: %s", strerror(errno));
    }
    return fd;
}

static void bind_source(int fd, unsigned turn) {
    enable(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
    struct sockaddr_in source = {.sin_family = AF_INET};
    source.sin_addr.s_addr = htonl(FIRST_SOURCE + turn % NUM_SOURCES);
    if (bind(fd, (struct sockaddr *)&source, sizeof(source)) != 0) {
        loop_die("cannot bind to a source address: %s", strerror(errno));
    }
}

static int start_connect(int fd, const struct netaddr *to) {
    enable(fd, IPPROTO_TCP, TCP_NODELAY);
    struct sockaddr_storage sa;
    socklen_t sa_len = netaddr_to_sockaddr(to, &sa);
    if (connect(fd, (struct sockaddr *)&sa, sa_len) != 0 && errno != EINPROGRESS) {
        char text[NETADDR_TEXT_MAX];
        loop_die("cannot connect to %s: %s", netaddr_format(to, text), strerror(errno));
    }
    return fd;
}

int endpoint_dial(const struct netaddr *to) {
    return start_connect(new_socket(to), to);
}

int endpoint_dial_from(const struct netaddr *to, unsigned turn) {
    int fd = new_socket(to);
    if (to->family == NETADDR_V4 && netaddr_is_loopback(to)) {
        bind_source(fd, turn);
    }
    return start_connect(fd, to);
}

static enum endpoint_outcome outcome_of(ssize_t moved, size_t *len) {
    *len = moved > 0 ? (size_t)moved : 0;
    if (moved >= 0) {
        return ENDPOINT_OK;
    }
    return errno == EAGAIN || errno == EINTR ? ENDPOINT_AGAIN : ENDPOINT_FAILED;
}

enum endpoint_outcome endpoint_recv(int fd, void *data, size_t *len) {
    ssize_t moved = recv(fd, data, *len, 0);
    return moved == 0 ? ENDPOINT_EOF : outcome_of(moved, len);
}

enum endpoint_outcome endpoint_send(int fd, const void *data, size_t *len) {
    ssize_t moved = send(fd, data, *len, MSG_NOSIGNAL);
    return outcome_of(moved, len);
}
