#include "agent/control/handover.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define MAGIC "pavise-handover"
#define VERSION 1
#define BACKLOG 4

// Both ends are on one machine and may be of different versions of the program.
struct wire {
    char magic[16];
    uint32_t version;
    uint32_t kind;
};

union control_data {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * HANDOVER_FDS_MAX)];
};

void handover_name(const struct netaddr *first, char out[HANDOVER_NAME_MAX]) {
    char text[NETADDR_TEXT_MAX];
    snprintf(out, HANDOVER_NAME_MAX, "pavise/take-over/%s", netaddr_format(first, text));
}

static socklen_t address_of(const char *name, struct sockaddr_un *addr) {
    size_t len = strnlen(name, HANDOVER_NAME_MAX);
    *addr = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(addr->sun_path + 1, name, len); // the first byte is zero: no file
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
}

int handover_listen(const char *name, struct err *err) {
    struct sockaddr_un addr;
    socklen_t len = address_of(name, &addr);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&addr, len) == 0 && listen(fd, BACKLOG) == 0) {
        return fd;
    }
    ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot listen on the socket @%s", name);
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

// For a connected socket the user who listened, for an accepted one the user who connected.
static bool may_talk(int fd, pid_t *pid) {
    struct ucred peer = {0};
    socklen_t len = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 || len != sizeof(peer)) {
        return false;
    }
    *pid = peer.pid;
    return peer.uid == geteuid() || peer.uid == 0;
}

int handover_accept(int listener, pid_t *pid) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 && !may_talk(fd, pid)) {
        close(fd);
        return -1;
    }
    return fd;
}

static int refuse(int fd, struct err *err, int errnum, const char *name) {
    if (errnum == ECONNREFUSED) {
        ERR_SET(err, ERR_ENVIRONMENT,
                "there is no running agent to take over from (nobody listens on @%s); start "
                "without --take-over",
                name);
    } else {
        ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errnum, "cannot reach the predecessor at @%s", name);
    }
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

int handover_connect(const char *name, int wait_s, struct err *err) {
    struct sockaddr_un addr;
    struct timeval wait = {.tv_sec = wait_s};
    socklen_t len = address_of(name, &addr);
    pid_t pid = 0;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0 ||
        connect(fd, (struct sockaddr *)&addr, len) != 0) {
        return refuse(fd, err, errno, name);
    }
    if (!may_talk(fd, &pid)) {
        return refuse(fd, err, EPERM, name);
    }
    return fd;
}

bool handover_send(int fd, const struct handover_message *message) {
    struct wire wire = {.magic = MAGIC, .version = VERSION, .kind = message->kind};
    union control_data data = {0};
    struct iovec bytes = {.iov_base = &wire, .iov_len = sizeof(wire)};
    struct msghdr msg = {.msg_iov = &bytes, .msg_iovlen = 1};
    size_t len = message->num_fds * sizeof(int);
    if (message->num_fds > 0) {
        msg.msg_control = data.bytes;
        msg.msg_controllen = CMSG_SPACE(len);
        struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(len);
        memcpy(CMSG_DATA(header), message->fds, len);
    }
    return sendmsg(fd, &msg, MSG_NOSIGNAL) == (ssize_t)sizeof(wire);
}

bool handover_say(int fd, enum handover_kind kind) {
    return handover_send(fd, &(struct handover_message){.kind = kind});
}

void handover_close_all(struct handover_message *message) {
    for (size_t i = 0; i < message->num_fds; i++) {
        close(message->fds[i]);
    }
    message->num_fds = 0;
}

// Whatever was sent along is ours from now on, also beside bytes that are nonsense.
static void collect_fds(struct msghdr *msg, struct handover_message *out) {
    for (struct cmsghdr *at = CMSG_FIRSTHDR(msg); at != NULL; at = CMSG_NXTHDR(msg, at)) {
        if (at->cmsg_level == SOL_SOCKET && at->cmsg_type == SCM_RIGHTS) {
            out->num_fds = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(out->fds, CMSG_DATA(at), out->num_fds * sizeof(int));
        }
    }
}

static bool is_ours(const struct wire *wire, ssize_t len, int flags) {
    return len == (ssize_t)sizeof(*wire) && (flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 &&
           memcmp(wire->magic, MAGIC, sizeof(MAGIC)) == 0 && wire->version == VERSION &&
           wire->kind >= HANDOVER_FETCH && wire->kind <= HANDOVER_BUSY;
}

enum handover_outcome handover_receive(int fd, struct handover_message *out) {
    struct wire wire = {0};
    union control_data data = {0};
    struct iovec bytes = {.iov_base = &wire, .iov_len = sizeof(wire)};
    struct msghdr msg = {.msg_iov = &bytes,
                         .msg_iovlen = 1,
                         .msg_control = data.bytes,
                         .msg_controllen = sizeof(data.bytes)};
    *out = (struct handover_message){0};
    ssize_t len = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
    if (len < 0) {
        return errno == EAGAIN || errno == EINTR ? HANDOVER_AGAIN : HANDOVER_ENDED;
    }
    collect_fds(&msg, out);
    if (len == 0) {
        return HANDOVER_ENDED;
    }
    if (!is_ours(&wire, len, msg.msg_flags)) {
        handover_close_all(out);
        return HANDOVER_BAD;
    }
    out->kind = (enum handover_kind)wire.kind;
    return HANDOVER_OK;
}
