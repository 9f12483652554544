// A plain view of the audit: where it goes and how much of it was lost, for metrics and the log.
#ifndef AGENT_OBSERVE_AUDIT_VIEW_H
#define AGENT_OBSERVE_AUDIT_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct audit_view {
    bool is_on; // a collector is configured
    bool is_connected;
    bool has_given_up;      // reconnectMaxAttempts in a row have failed
    uint64_t num_connected; // times
    uint64_t num_failed;    // attempts to connect
    uint64_t num_queued;    // records that were taken
    uint64_t num_sent;      // of them, handed to the kernel whole
    uint64_t num_dropped;   // records that had no room, or nobody to go to
    size_t held;            // bytes that wait
    char address[300];      // "" while it is off
    char last_error[256];   // of the last attempt or connection; "" while connected
};

#endif
