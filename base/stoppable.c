#include "base/stoppable.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/thread.h"

bool stoppable_start(struct stoppable *self, void *(*run)(void *), void *arg, struct err *err) {
    self->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->stop_fd < 0) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "no descriptor is left for a thread");
    }
    int errnum = thread_start(&self->thread, run, arg);
    if (errnum != 0) {
        (void)close(self->stop_fd);
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errnum, "cannot start a thread");
    }
    self->is_started = true;
    return true;
}

bool stoppable_is_stopped(const struct stoppable *self, int wait_ms) {
    struct pollfd stop = {.fd = self->stop_fd, .events = POLLIN};
    return poll(&stop, 1, wait_ms) > 0;
}

void stoppable_stop(struct stoppable *self) {
    if (!self->is_started) {
        return;
    }
    (void)eventfd_write(self->stop_fd, 1);
    (void)pthread_join(self->thread, NULL);
    (void)close(self->stop_fd);
    self->is_started = false;
}
