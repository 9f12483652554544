// What a service manager is told, sd_notify(3): datagrams to the socket that $NOTIFY_SOCKET names.
// Without one nothing is sent. The socket is opened once, before the process locks itself in.
#ifndef AGENT_CONTROL_NOTIFY_H
#define AGENT_CONTROL_NOTIFY_H

#include <stdbool.h>

#include "base/err.h"
#include "base/own.h"

struct notify {
    int fd;              // -1: nobody wants to know
    bool wants_watchdog; // WATCHDOG=1 now and then
};

// Reads $NOTIFY_SOCKET (a path, or @name in the abstract namespace), $WATCHDOG_USEC and
// $WATCHDOG_PID. False with the sentence when there is such a socket and it cannot be reached.
bool notify_init(struct notify *notify, struct err *err) MUST_USE;
void notify_fini(struct notify *notify);

// Sends one message, lines like "READY=1\nSTATUS=...". Never waits; one that is not taken is lost.
void notify_send(const struct notify *notify, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
