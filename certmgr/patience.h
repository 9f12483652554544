// How long a blocking step may take, and what ends it early: a deadline on the monotonic clock and
// a descriptor that becomes readable when the owner wants the thread back. A value of the caller.
#ifndef CERTMGR_PATIENCE_H
#define CERTMGR_PATIENCE_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "base/own.h"

#define PATIENCE_FDS_MAX 20

struct patience {
    int cancel_fd;       // borrowed; never read here; -1: nothing ends it early
    int64_t deadline_ms; // clock_mono_ms
};

enum patience_outcome { PATIENCE_READY, PATIENCE_TIMEOUT, PATIENCE_CANCELLED };

// poll(2) on at most PATIENCE_FDS_MAX descriptors, whose revents are set when it is
// PATIENCE_READY. `most_ms` (negative: none) is a shorter wait, after which it is PATIENCE_READY
// with no revents set.
enum patience_outcome patience_poll(const struct patience *patience, struct pollfd *fds, size_t num,
                                    int64_t most_ms) MUST_USE;

#endif
