#include "certmgr/tls_carrier.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/stoppable.h"

struct tls_carrier {
    struct tls_pump *pump; // the thread's while it runs
    struct stoppable thread;
};

static void *run(void *arg) {
    struct tls_carrier *carrier = arg;
    while (tls_pump_step(carrier->pump) != TLS_PUMP_ENDED) {
        struct pollfd fds[TLS_PUMP_FDS + 1];
        tls_pump_arm(carrier->pump, fds);
        fds[TLS_PUMP_FDS] = (struct pollfd){.fd = carrier->thread.stop_fd, .events = POLLIN};
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
    OWNED(tls_carrier_free) struct tls_carrier *carrier = calloc(1, sizeof(*carrier));
    if (carrier == NULL) {
        ERR_NO_MEMORY(err, "starting a connection");
        return NULL;
    }
    int local = tls_pump_attach(owned, err);
    if (local < 0) {
        return NULL;
    }
    carrier->pump = take(&owned);
    if (!stoppable_start(&carrier->thread, run, carrier, err)) {
        err_wrap(err, "starting a connection");
        (void)close(local);
        return NULL;
    }
    *fd = local;
    return take(&carrier);
}

void tls_carrier_free(struct tls_carrier *carrier) {
    if (carrier == NULL) {
        return;
    }
    stoppable_stop(&carrier->thread);
    tls_pump_free(carrier->pump);
    free(carrier);
}
