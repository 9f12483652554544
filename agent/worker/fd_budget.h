// How many descriptors the data plane may still open, so that the status port and the identity
// source always have some left. Shared by all workers; one atomic addition per connection.
#ifndef AGENT_WORKER_FD_BUDGET_H
#define AGENT_WORKER_FD_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>

struct fd_budget {
    _Atomic int left;
};

// Raises the soft limit to the hard one, and counts what is free but for a reserve.
void fd_budget_init(struct fd_budget *budget);

static inline bool fd_budget_take(struct fd_budget *budget, int num) {
    if (atomic_fetch_sub_explicit(&budget->left, num, memory_order_relaxed) >= num) {
        return true;
    }
    atomic_fetch_add_explicit(&budget->left, num, memory_order_relaxed);
    return false;
}

static inline void fd_budget_give(struct fd_budget *budget, int num) {
    atomic_fetch_add_explicit(&budget->left, num, memory_order_relaxed);
}

#endif
