// The authority's log lines about callers, which they can provoke: so there is a budget for them.
#ifndef AUTHORITY_AUTHORITY_LOG_H
#define AUTHORITY_AUTHORITY_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "authority/csr_service.h"
#include "authority/workload_service.h"

struct authority_log {       // zeroed to begin with
    int64_t window_start_ms; // monotonic
    unsigned num_lines;
    uint64_t num_suppressed;
};

// Whether the budget has one more line; it is then used.
bool authority_log_may(struct authority_log *log);
void authority_log_service(struct authority_log *log, const struct service_event *event);
void authority_log_csr(struct authority_log *log, const struct csr_event *event);

#endif
