// Host names to their addresses, blocking but never longer than the caller's patience (getaddrinfo
// cannot be called back). It honours the machine's hosts file and resolver configuration, which are
// read anew each time. This is the only door to c-ares.
#ifndef CERTMGR_RESOLVE_H
#define CERTMGR_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/netaddr.h"
#include "base/own.h"
#include "certmgr/patience.h"

#define RESOLVE_MAX 32 // addresses of one name; more are left out
#define RESOLVE_WHY_MAX 128

struct resolve_result {
    struct netaddr addr[RESOLVE_MAX]; // in the order to try them
    size_t num;                       // at least one
    int64_t ttl_s;                    // the shortest of them; 0 from the hosts file
};

enum resolve_outcome {
    RESOLVE_FOUND,
    RESOLVE_ABSENT, // an answer: there is no such name, or it has no address
    RESOLVE_FAILED, // no answer
};

// One of several names that are looked up together.
struct resolve_job {
    const char *host;
    struct resolve_result result; // of RESOLVE_FOUND; ports are 0
    enum resolve_outcome outcome;
    char why[RESOLVE_WHY_MAX]; // a sentence, where it is not RESOLVE_FOUND
};
// All at once: the slowest decides how long it takes.
void resolve_hosts(struct resolve_job *jobs, size_t num, const struct patience *patience);

// `host` is a DNS name or an IP literal without brackets.
bool resolve_host(const char *host, uint16_t port, const struct patience *patience,
                  struct resolve_result *out, struct err *err) MUST_USE;

#endif
