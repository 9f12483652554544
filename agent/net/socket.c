#include "agent/net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>

// linux/netfilter_ipv4.h and linux/netfilter_ipv6/ip6_tables.h give both the same number.
#define ORIGINAL_DESTINATION 80
#define BACKLOG 4096

// For options that an older kernel may lack or that only tune: without them the socket works.
static void set_option(int fd, int level, int option, int value) {
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

static bool set_required(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

static bool start_listening(int fd, const struct netaddr *addr, bool shared) {
    struct sockaddr_storage sa;
    socklen_t len = netaddr_to_sockaddr(addr, &sa);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    return set_required(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
           (!shared || set_required(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
           (addr->family != NETADDR_V6 || set_required(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) &&
           bind(fd, (struct sockaddr *)&sa, len) == 0 && listen(fd, BACKLOG) == 0;
}

static int new_socket(const struct netaddr *addr) {
    int family = addr->family == NETADDR_V6 ? AF_INET6 : AF_INET;
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int socket_listen(const struct netaddr *addr, bool shared, struct err *err) {
    int fd = new_socket(addr);
    if (fd >= 0 && start_listening(fd, addr, shared)) {
        return fd;
    }
    int errnum = errno;
    socket_close(fd);
    char text[NETADDR_TEXT_MAX];
    ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errnum, "cannot listen on %s", netaddr_format(addr, text));
    return -1;
}

bool socket_lacks_ip6(const struct netaddr *addr) {
    struct netaddr loopback = {.family = NETADDR_V6, .ip = {[15] = 1}};
    if (addr->family != NETADDR_V6) {
        return false;
    }
    int fd = new_socket(&loopback);
    bool lacks = fd < 0 && errno == EAFNOSUPPORT;
    if (fd >= 0) {
        struct sockaddr_storage sa;
        socklen_t len = netaddr_to_sockaddr(&loopback, &sa);
        lacks = bind(fd, (struct sockaddr *)&sa, len) != 0 && errno == EADDRNOTAVAIL;
    }
    socket_close(fd);
    return lacks;
}

static bool get_option(int fd, int option, int *value) {
    socklen_t len = sizeof *value;
    return getsockopt(fd, SOL_SOCKET, option, value, &len) == 0;
}

static bool is_listening_tcp(int fd) {
    int listening = 0;
    int protocol = 0;
    return get_option(fd, SO_ACCEPTCONN, &listening) && listening != 0 &&
           get_option(fd, SO_PROTOCOL, &protocol) && protocol == IPPROTO_TCP;
}

bool socket_adopt(int fd, struct netaddr *addr, struct err *err) {
    if (!is_listening_tcp(fd) || !socket_local_address(fd, addr)) {
        return ERR_SET(err, ERR_ENVIRONMENT, "is not a TCP socket that listens");
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot be used");
    }
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    (void)listen(fd, BACKLOG); // a longer queue, if it had a shorter one
    return true;
}

static enum socket_outcome outcome_of(int errnum) {
    switch (errnum) {
    case EAGAIN:
        return SOCKET_AGAIN;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return SOCKET_EXHAUSTED;
    default:
        return SOCKET_FAILED;
    }
}

enum socket_outcome socket_accept(int listener, int *fd, struct netaddr *peer) {
    struct sockaddr_storage sa = {0};
    int accepted;
    do {
        socklen_t len = sizeof sa;
        accepted = accept4(listener, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (accepted < 0 && errno == EINTR);
    if (accepted < 0) {
        return outcome_of(errno);
    }
    if (!netaddr_from_sockaddr(peer, &sa)) {
        socket_close(accepted);
        return SOCKET_FAILED;
    }
    *fd = accepted;
    return SOCKET_OK;
}

enum socket_outcome socket_connect(const struct netaddr *to, int *fd, int *errnum) {
    struct sockaddr_storage sa;
    socklen_t len = netaddr_to_sockaddr(to, &sa);
    *fd = -1;
    *errnum = len == 0 ? EAFNOSUPPORT : 0;
    int opened = len == 0 ? -1 : new_socket(to);
    if (opened < 0) {
        *errnum = len == 0 ? EAFNOSUPPORT : errno;
        return outcome_of(*errnum);
    }
    set_option(opened, IPPROTO_TCP, TCP_NODELAY, 1);
    // EINTR: a connect that was interrupted goes on by itself, like one in progress.
    if (connect(opened, (struct sockaddr *)&sa, len) == 0 || errno == EINPROGRESS ||
        errno == EINTR) {
        *fd = opened;
        return SOCKET_OK;
    }
    *errnum = errno;
    socket_close(opened);
    // Out of routes or local ports is this connection's failure; nothing is to be awaited.
    return outcome_of(*errnum) == SOCKET_EXHAUSTED ? SOCKET_EXHAUSTED : SOCKET_FAILED;
}

int socket_connect_error(int fd) {
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    if (getpeername(fd, (struct sockaddr *)&sa, &len) == 0) {
        return 0;
    }
    int unconnected = errno;
    // SO_ERROR is cleared by reading it: only the state tells "not yet" from "failed before". It is
    // looked at once, and may have become "connected" by now.
    struct tcp_info info = {0};
    len = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_state != TCP_CLOSE) {
        return info.tcpi_state == TCP_SYN_SENT ? EINPROGRESS : 0;
    }
    int error = 0;
    len = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
        return errno;
    }
    return error != 0 ? error : unconnected;
}

bool socket_original_destination(int fd, const struct netaddr *peer, struct netaddr *out) {
    struct sockaddr_storage sa = {0};
    socklen_t len =
        peer->family == NETADDR_V6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int level = peer->family == NETADDR_V6 ? IPPROTO_IPV6 : IPPROTO_IP;
    struct netaddr original, local;
    if (getsockopt(fd, level, ORIGINAL_DESTINATION, &sa, &len) != 0 ||
        !netaddr_from_sockaddr(&original, &sa)) {
        return false;
    }
    // With connection tracking on, a direct dial is answered with the socket's own address.
    if (!socket_local_address(fd, &local) || netaddr_equal(&original, &local)) {
        return false;
    }
    *out = original;
    return true;
}

bool socket_local_address(int fd, struct netaddr *out) {
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof sa;
    return getsockname(fd, (struct sockaddr *)&sa, &len) == 0 && netaddr_from_sockaddr(out, &sa);
}

bool socket_is_closed(int fd) {
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_state == TCP_CLOSE;
}

void socket_keepalive(int fd, int idle_s, int interval_s, int count) {
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval_s);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, count);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

void socket_user_timeout(int fd, int ms) {
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, ms);
}

ssize_t socket_send(int fd, const struct iovec *runs, size_t num, bool more) {
    int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
    if (num == 1) {
        return send(fd, runs->iov_base, runs->iov_len, flags);
    }
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)runs, .msg_iovlen = num};
    return sendmsg(fd, &msg, flags);
}

size_t socket_unacknowledged(int fd) {
    int queued = 0;
    return ioctl(fd, SIOCOUTQ, &queued) == 0 && queued > 0 ? (size_t)queued : 0;
}

void socket_finish(int fd) {
    (void)shutdown(fd, SHUT_WR); // fails only when the connection is gone, which a read tells
}

void socket_reset(int fd) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    socket_close(fd);
}

void socket_close(int fd) {
    if (fd >= 0) {
        close(fd); // never retried: Linux frees the descriptor even on EINTR
    }
}

int socket_peek(int fd) {
    uint8_t byte = 0;
    ssize_t got = recv(fd, &byte, 1, MSG_PEEK);
    if (got > 0) {
        return byte;
    }
    if (got == 0) {
        return SOCKET_PEEK_END;
    }
    return errno == EAGAIN || errno == EINTR ? SOCKET_PEEK_AGAIN : SOCKET_PEEK_FAILED;
}

static enum socket_outcome receive(int fd, struct iovec room, size_t *got, int flags) {
    ssize_t n = recv(fd, room.iov_base, room.iov_len, flags);
    if (n > 0) {
        *got = (size_t)n;
        return SOCKET_OK;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? SOCKET_AGAIN : SOCKET_FAILED;
}

enum socket_outcome socket_peek_many(int fd, void *out, size_t len, size_t *got) {
    return receive(fd, (struct iovec){out, len}, got, MSG_PEEK);
}

enum socket_outcome socket_read(int fd, void *out, size_t len, size_t *got) {
    return receive(fd, (struct iovec){out, len}, got, 0);
}

enum socket_outcome socket_drop(int fd, size_t *left) {
    uint8_t bytes[4096];
    while (*left > 0) {
        size_t got = 0;
        enum socket_outcome outcome =
            socket_read(fd, bytes, *left < sizeof(bytes) ? *left : sizeof(bytes), &got);
        if (outcome != SOCKET_OK) {
            return outcome;
        }
        *left -= got;
    }
    return SOCKET_FAILED;
}

bool socket_send_whole(int fd, struct span bytes) {
    return send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL) == (ssize_t)bytes.len;
}
