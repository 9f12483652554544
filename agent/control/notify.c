#include "agent/control/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool address_of(const char *name, struct sockaddr_un *addr, socklen_t *len) {
    size_t name_len = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || name_len < 2 || name_len >= sizeof(addr->sun_path)) {
        return false;
    }
    *addr = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(addr->sun_path, name, name_len);
    if (name[0] == '@') {
        addr->sun_path[0] = '\0'; // the name's length is its end
    }
    *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name_len + (name[0] == '/'));
    return true;
}

// The watchdog's wish is for one process; without a pid for whoever reads it.
static bool is_watched(void) {
    const char *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    return usec != NULL && strtoull(usec, NULL, 10) > 0 &&
           (pid == NULL || strtoll(pid, NULL, 10) == getpid());
}

bool notify_init(struct notify *notify, struct err *err) {
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un addr;
    socklen_t len = 0;
    *notify = (struct notify){.fd = -1};
    if (name == NULL || name[0] == '\0') {
        return true;
    }
    if (!address_of(name, &addr, &len)) {
        return ERR_SET(err, ERR_ENVIRONMENT, "NOTIFY_SOCKET is neither a path nor @name: %s", name);
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, len) != 0) {
        int errnum = errno;
        if (fd >= 0) {
            close(fd);
        }
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errnum,
                             "cannot reach the service manager at NOTIFY_SOCKET %s", name);
    }
    notify->fd = fd;
    notify->wants_watchdog = is_watched();
    return true;
}

void notify_fini(struct notify *notify) {
    if (notify->fd >= 0) {
        close(notify->fd);
    }
    notify->fd = -1;
}

void notify_send(const struct notify *notify, const char *format, ...) {
    char text[1024];
    va_list args;
    if (notify->fd < 0) {
        return;
    }
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len > 0 && (size_t)len < sizeof(text)) {
        (void)send(notify->fd, text, (size_t)len, MSG_NOSIGNAL);
    }
}
