// One slot between two threads; the latest value wins. The producer puts a heap value, the consumer
// takes it; whoever holds a value owns it. Lock-free. Waking the consumer is the caller's business
// (libev's ev_async does not queue, which is exactly what one slot needs).
#ifndef BASE_MAILBOX_H
#define BASE_MAILBOX_H

#include <stdatomic.h>
#include <stddef.h>

struct mailbox {
    _Atomic(void *) slot;
};

// Puts `value` and returns the one it displaced (NULL if none), which the caller now owns.
static inline void *mailbox_put(struct mailbox *box, void *value) {
    return atomic_exchange_explicit(&box->slot, value, memory_order_acq_rel);
}

// Takes what is there, or NULL.
static inline void *mailbox_take(struct mailbox *box) {
    return atomic_exchange_explicit(&box->slot, NULL, memory_order_acq_rel);
}

#endif
