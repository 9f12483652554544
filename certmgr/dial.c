#include "certmgr/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/netaddr.h"

static int connect_started(const struct netaddr *to, bool *in_progress) {
    struct sockaddr_storage sa;
    socklen_t len = netaddr_to_sockaddr(to, &sa);
    int on = 1;
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    *in_progress = false;
    if (connect(fd, (const struct sockaddr *)&sa, len) == 0) {
        return fd;
    }
    if (errno == EINPROGRESS || errno == EINTR) {
        *in_progress = true;
        return fd;
    }
    int errnum = errno;
    (void)close(fd);
    errno = errnum;
    return -1;
}

static int connect_result(int fd, const struct patience *patience) {
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    while (ready.revents == 0) {
        enum patience_outcome outcome = patience_poll(patience, &ready, 1, -1);
        if (outcome != PATIENCE_READY) {
            return outcome == PATIENCE_CANCELLED ? ECANCELED : ETIMEDOUT;
        }
    }
    int errnum = 0;
    socklen_t len = sizeof(errnum);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &len) == 0 ? errnum : errno;
}

static int connect_one(const struct netaddr *to, const struct patience *patience, struct err *err) {
    char text[NETADDR_TEXT_MAX];
    bool in_progress = false;
    int fd = connect_started(to, &in_progress);
    int errnum = fd < 0 ? errno : in_progress ? connect_result(fd, patience) : 0;
    if (errnum == 0) {
        return fd;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (errnum == ECANCELED) {
        ERR_SET(err, ERR_ENVIRONMENT, "stopped while connecting to %s", netaddr_format(to, text));
    } else {
        ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errnum, "cannot connect to %s",
                      netaddr_format(to, text));
    }
    return -1;
}

// An address that does not answer must not use up the others' time.
static struct patience share_of(const struct patience *patience, int64_t now_ms, size_t num_left) {
    int64_t left_ms = patience->deadline_ms - now_ms;
    return (struct patience){.cancel_fd = patience->cancel_fd,
                             .deadline_ms = now_ms + left_ms / (int64_t)num_left};
}

int dial_any(const struct resolve_result *to, const struct patience *patience, struct err *err) {
    int fd = -1;
    for (size_t i = 0; i < to->num && fd < 0; i++) {
        struct patience share = share_of(patience, clock_mono_ms(), to->num - i);
        fd = connect_one(&to->addr[i], &share, err);
    }
    return fd;
}
