// Lines of the audit on their way out: bounded in bytes, filled by any thread, emptied by one. A
// line that has no room is dropped and counted, and its number is used up, so that whoever reads
// sees the gap. Never blocks longer than a copy takes.
#ifndef AGENT_AUDIT_AUDIT_QUEUE_H
#define AGENT_AUDIT_AUDIT_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/own.h"
#include "base/span.h"

struct audit_queue_counts {
    uint64_t num_queued, num_sent, num_dropped; // lines; dropped ones that were never queued, too
    size_t held;                                // bytes
};

struct audit_queue {
    pthread_mutex_t lock; // of all below
    struct buf lines;
    size_t max; // bytes
    uint64_t last_seq;
    struct audit_queue_counts counts;
};

void audit_queue_init(struct audit_queue *queue);
void audit_queue_fini(struct audit_queue *queue);
// From now on; what is held stays.
void audit_queue_set_max(struct audit_queue *queue, size_t max);

// Adds {"ts":at_s,"audit_seq":N, and `rest`. True when the queue was empty before: whoever empties
// it wants to be told.
bool audit_queue_put(struct audit_queue *queue, int64_t at_s, struct span rest);
// Copies whole lines from the front, as many as fit into `cap`, which no line is longer than.
size_t audit_queue_peek(struct audit_queue *queue, char *out, size_t cap);
// Takes `len` bytes, whole lines, off the front: they are sent.
void audit_queue_sent(struct audit_queue *queue, size_t len);
// Drops everything; counted.
void audit_queue_clear(struct audit_queue *queue);
struct audit_queue_counts audit_queue_counts(struct audit_queue *queue);

#endif
