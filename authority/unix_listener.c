#include "authority/unix_listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

// A caller finds a full backlog as EAGAIN and has to try again: long enough for every agent of a
// host at once.
#define BACKLOG 1024

struct unix_listener {
    int fd;
    bool bound;
    dev_t device; // of the socket file, to know it again
    ino_t inode;
    struct sockaddr_un address;
};

static bool set_address(struct sockaddr_un *address, const char *path, struct err *err) {
    size_t len = strlen(path);
    if (path[0] != '/') {
        return ERR_SET(err, ERR_USAGE, "the socket's path must be absolute, not \"%s\"", path);
    }
    if (len >= sizeof(address->sun_path)) {
        return ERR_SET(err, ERR_USAGE, "the socket's path has %zu bytes; %zu are allowed", len,
                       sizeof(address->sun_path) - 1);
    }
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, len + 1);
    return true;
}

// Whether somebody listens there. A full backlog is somebody, too.
static bool is_listened_on(const struct sockaddr_un *address) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return true;
    }
    bool refused = connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
                   (errno == ECONNREFUSED || errno == ENOENT);
    (void)close(fd);
    return !refused;
}

static bool remove_stale(const struct sockaddr_un *address, struct err *err) {
    struct stat st;
    const char *path = address->sun_path;
    if (lstat(path, &st) != 0) {
        return errno == ENOENT ||
               ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot look at %s", path);
    }
    if (!S_ISSOCK(st.st_mode)) {
        return ERR_SET(err, ERR_ENVIRONMENT, "%s exists and is not a socket", path);
    }
    if (is_listened_on(address)) {
        return ERR_SET(err, ERR_ENVIRONMENT, "%s: address in use by another process", path);
    }
    if (unlink(path) != 0 && errno != ENOENT) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot replace %s", path);
    }
    return true;
}

static bool bind_and_listen(struct unix_listener *listener, struct err *err) {
    struct stat st;
    const char *path = listener->address.sun_path;
    mode_t before = umask(0111); // the mode is right from the start: there is no moment to race
    int failed =
        bind(listener->fd, (const struct sockaddr *)&listener->address, sizeof(listener->address));
    int errnum = errno;
    (void)umask(before);
    if (failed != 0) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errnum, "cannot make the socket %s", path);
    }
    if (lstat(path, &st) == 0) {
        listener->bound = true;
        listener->device = st.st_dev;
        listener->inode = st.st_ino;
    }
    if (listen(listener->fd, BACKLOG) != 0) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot listen on %s", path);
    }
    return true;
}

struct unix_listener *unix_listener_new(const char *path, struct err *err) {
    OWNED(unix_listener_free) struct unix_listener *listener = calloc(1, sizeof(*listener));
    if (listener == NULL) {
        ERR_NO_MEMORY(err, "making the socket");
        return NULL;
    }
    listener->fd = -1;
    if (!set_address(&listener->address, path, err) || !remove_stale(&listener->address, err)) {
        return NULL;
    }
    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0) {
        ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot make a socket");
        return NULL;
    }
    return bind_and_listen(listener, err) ? take(&listener) : NULL;
}

void unix_listener_free(struct unix_listener *listener) {
    struct stat st;
    if (listener == NULL) {
        return;
    }
    const char *path = listener->address.sun_path;
    if (listener->bound && lstat(path, &st) == 0 && st.st_dev == listener->device &&
        st.st_ino == listener->inode) {
        (void)unlink(path);
    }
    if (listener->fd >= 0) {
        (void)close(listener->fd);
    }
    free(listener);
}

int unix_listener_fd(const struct unix_listener *listener) {
    return listener->fd;
}

enum unix_accept unix_listener_accept(const struct unix_listener *listener, int *fd, uid_t *uid) {
    struct ucred caller;
    socklen_t len = sizeof(caller);
    int accepted = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted < 0) {
        bool starved = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
        return starved ? UNIX_STARVED : UNIX_NONE;
    }
    if (getsockopt(accepted, SOL_SOCKET, SO_PEERCRED, &caller, &len) != 0 ||
        len != sizeof(caller) || caller.uid == (uid_t)-1) {
        (void)close(accepted);
        return UNIX_NONE;
    }
    *fd = accepted;
    *uid = caller.uid;
    return UNIX_ACCEPTED;
}
