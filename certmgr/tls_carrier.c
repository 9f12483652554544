#include "certmgr/tls_carrier.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/thread.h"

struct tls_carrier {
    struct tls_pump *pump; // the thread's while it runs
    int stop_fd;
    pthread_t thread;
};

static void *run(void *arg) {
    struct tls_carrier *carrier = arg;
    while (tls_pump_step(carrier->pump) != TLS_PUMP_ENDED) {
        struct pollfd fds[TLS_PUMP_FDS + 1];
        tls_pump_arm(carrier->pump, fds);
        fds[TLS_PUMP_FDS] = (struct pollfd){.fd = carrier->stop_fd, .events = POLLIN};
        (void)poll(fds, TLS_PUMP_FDS + 1, -1);
        if (fds[TLS_PUMP_FDS].revents != 0) {
            return NULL;
        }
    }
    tls_pump_free(take(&carrier->pump)); // gRPC sees the end
    return NULL;
}

struct tls_carrier *tls_carrier_new(struct tls_pump *pump, int *fd, struct err *err) {
    OWNED(tls_pump_free) struct tls_pump *owned = pump;
    struct tls_carrier *carrier = calloc(1, sizeof(*carrier));
    if (carrier == NULL) {
        ERR_NO_MEMORY(err, "starting a connection");
        return NULL;
    }
    carrier->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int errnum = carrier->stop_fd < 0 ? errno : 0;
    int local = errnum == 0 ? tls_pump_attach(owned, err) : -1;
    carrier->pump = owned;
    if (local >= 0) {
        errnum = thread_start(&carrier->thread, run, carrier);
    }
    if (errnum != 0) {
        ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errnum, "cannot start the thread of a connection");
    }
    if (local < 0 || errnum != 0) {
        (void)close(local);
        (void)close(carrier->stop_fd);
        free(carrier);
        return NULL;
    }
    (void)take(&owned);
    *fd = local;
    return carrier;
}

void tls_carrier_free(struct tls_carrier *carrier) {
    if (carrier == NULL) {
        return;
    }
    (void)eventfd_write(carrier->stop_fd, 1);
    (void)pthread_join(carrier->thread, NULL);
    tls_pump_free(carrier->pump);
    (void)close(carrier->stop_fd);
    free(carrier);
}
