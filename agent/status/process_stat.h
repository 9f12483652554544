// What the kernel knows of this process, for the process_* metrics.
#ifndef AGENT_STATUS_PROCESS_STAT_H
#define AGENT_STATUS_PROCESS_STAT_H

#include <stdbool.h>
#include <stdint.h>

struct process_stat {
    bool has_stat; // /proc/self/stat could be read
    double cpu_seconds;
    double start_time_seconds; // Unix time
    uint64_t threads;
    uint64_t virtual_bytes;
    uint64_t resident_bytes;
    bool has_open_fds; // /proc/self/fd could be read; not so when descriptors are short
    uint64_t open_fds;
    bool has_max_fds; // false: without limit
    uint64_t max_fds;
};

// Reads what can be read; the rest stays unset.
void process_stat_load(struct process_stat *out);

#endif
