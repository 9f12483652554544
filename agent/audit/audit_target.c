#include "agent/audit/audit_target.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/net/socket.h"
#include "base/netaddr.h"
#include "base/text.h"
#include "certmgr/resolve.h"

#define UNIX_SCHEME "unix://"
#define HOST_MAX 256
// A collector that is gone without a word is given up after this long with bytes unacknowledged;
// one that says nothing is asked whether it is there.
#define USER_TIMEOUT_MS 20000
#define KEEPALIVE_IDLE_S 30
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES 3

static int dial_unix(const char *path, struct err *err) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    text_copy(sa.sun_path, sizeof(sa.sun_path), path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0) {
        return fd;
    }
    int errnum = errno;
    socket_close(fd);
    ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errnum, "cannot connect to %s", path);
    return -1;
}

static int wait_for_connect(int fd, const struct patience *patience) {
    struct pollfd out = {.fd = fd, .events = POLLOUT};
    int errnum = EINPROGRESS;
    while (errnum == EINPROGRESS) {
        if (patience_poll(patience, &out, 1, -1) != PATIENCE_READY) {
            return ETIMEDOUT;
        }
        errnum = socket_connect_error(fd);
    }
    return errnum;
}

static int dial_tcp(const struct netaddr *to, const struct patience *patience, struct err *err) {
    char text[NETADDR_TEXT_MAX];
    int fd = -1;
    int errnum = EMFILE;
    enum socket_outcome outcome = socket_connect(to, &fd, &errnum);
    if (outcome == SOCKET_OK) {
        errnum = wait_for_connect(fd, patience);
    }
    if (outcome == SOCKET_OK && errnum == 0) {
        socket_user_timeout(fd, USER_TIMEOUT_MS);
        socket_keepalive(fd, KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_PROBES);
        return fd;
    }
    if (outcome == SOCKET_OK) {
        socket_close(fd);
    }
    ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errnum, "cannot connect to %s", netaddr_format(to, text));
    return -1;
}

static int dial_host(const char *address, const struct patience *patience, struct err *err) {
    const char *colon = strrchr(address, ':');
    char host[HOST_MAX];
    struct resolve_result found;
    unsigned port = 0;
    for (const char *at = colon + 1; *at >= '0' && *at <= '9'; at++) {
        port = port * 10 + (unsigned)(*at - '0');
    }
    size_t len = (size_t)(colon - address);
    text_copy(host, len + 1 < sizeof(host) ? len + 1 : sizeof(host), address);
    if (!resolve_host(host, (uint16_t)port, patience, &found, err)) {
        err_wrap(err, "%s", host);
        return -1;
    }
    int fd = -1;
    for (size_t i = 0; fd < 0 && i < found.num; i++) {
        fd = dial_tcp(&found.addr[i], patience, err);
    }
    return fd;
}

int audit_target_dial(const char *address, const struct patience *patience, struct err *err) {
    struct netaddr literal;
    if (strncmp(address, UNIX_SCHEME, strlen(UNIX_SCHEME)) == 0) {
        return dial_unix(address + strlen(UNIX_SCHEME), err);
    }
    if (netaddr_parse(&literal, span_of_text(address), NULL)) {
        return dial_tcp(&literal, patience, err);
    }
    return dial_host(address, patience, err);
}
