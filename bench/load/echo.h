// The application at the far end: sends back whatever it receives, until the other side's FIN.
#ifndef BENCH_LOAD_ECHO_H
#define BENCH_LOAD_ECHO_H

#include "base/netaddr.h"
#include "bench/load/loop.h"

struct echo {
    struct loop *loop;
    struct watch listener;
    char *scratch; // shared by all connections; nothing stays in it
};

void echo_init(struct echo *echo, struct loop *loop, const struct netaddr *addr);

#endif
