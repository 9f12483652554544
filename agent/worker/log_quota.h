// How many log lines of one kind a second has: whoever makes thousands of connections fail does not
// fill the disk with it. Belongs to one thread.
#ifndef AGENT_WORKER_LOG_QUOTA_H
#define AGENT_WORKER_LOG_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_QUOTA_LINES 100 // in a second

struct log_quota { // all zero: nothing was said
    int64_t second;
    uint32_t num_said;
    uint32_t num_more; // that were not said, and nobody has heard of it yet
};

// Whether a line may be written at `now_ms` (monotonic).
bool log_quota_take(struct log_quota *quota, int64_t now_ms);
// How many were not written since the last call, once their second is over; else 0.
uint32_t log_quota_settle(struct log_quota *quota, int64_t now_ms);

#endif
