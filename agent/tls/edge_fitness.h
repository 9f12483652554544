// What clients are likely to refuse of a certificate that a port presents, or would be right to:
// sentences for whoever wrote the configuration, not reasons to refuse it (the seed's own
// certificates are of version 1, without names or usages). Pure.
#ifndef AGENT_TLS_EDGE_FITNESS_H
#define AGENT_TLS_EDGE_FITNESS_H

#include <stddef.h>

#include "agent/tls/edge_server.h"

#define EDGE_FITNESS_MAX 8

struct edge_fitness {
    const char *said[EDGE_FITNESS_MAX]; // static text
    size_t num;
};

// `cert` has its chain and its key.
void edge_fitness_judge(const struct edge_certificate *cert, struct edge_fitness *out);

#endif
