// The command line of a load: `load KIND --name value ...`.
#ifndef BENCH_LOAD_OPTIONS_H
#define BENCH_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/netaddr.h"

struct options {
    struct netaddr app;  // where the application at the far end listens: this process, too
    struct netaddr to;   // where the clients connect
    unsigned streams;    // connections at the same time, default 1
    bool down;           // --direction down: the application sends
    size_t size;         // of a message, default 1024
    double rate;         // messages per second
    int64_t duration_ns; // --seconds
};

// Ends the program with a sentence when something is wrong.
void options_parse(struct options *out, int argc, char **argv);

#endif
