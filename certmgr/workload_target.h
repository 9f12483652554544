// From a SPIFFE endpoint address ("unix:///path", "tcp://IP:port") to a gRPC target name.
#ifndef CERTMGR_WORKLOAD_TARGET_H
#define CERTMGR_WORKLOAD_TARGET_H

#include <stdbool.h>

#include "base/err.h"
#include "base/own.h"

#define WORKLOAD_TARGET_MAX 512

struct workload_target {
    char text[WORKLOAD_TARGET_MAX]; // "unix:///path", "ipv4:1.2.3.4:80", "ipv6:%5B::1%5D:80"
    bool is_local;                  // a Unix socket or a loopback address
};

// Validates the endpoint (certmgr/endpoint.h) and translates it.
bool workload_target_parse(struct workload_target *out, const char *endpoint,
                           struct err *err) MUST_USE;

#endif
