// What is counted of the data plane: close reasons, metrics, and the counters of a worker.
#ifndef AGENT_OBSERVE_OBSERVE_H
#define AGENT_OBSERVE_OBSERVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/netaddr.h"
#include "certmgr/spiffe_id.h"
#include "certmgr/svid.h"
#include "certmgr/verify.h"

enum close_reason {
#define CLOSE_REASON(id, name, is_error, sentence) id,
#include "agent/observe/close_reason.def"
#undef CLOSE_REASON
    CLOSE_REASON_COUNT
};
const char *close_reason_name(enum close_reason reason);
const char *close_reason_sentence(enum close_reason reason);
bool close_reason_is_error(enum close_reason reason);

enum metric {
#define METRIC(id, name, type, labels, help) id,
#include "agent/observe/metric.def"
#undef METRIC
    METRIC_COUNT
};

struct metric_info {
    const char *name, *type, *labels, *help;
};
const struct metric_info *metric_info(enum metric metric);

enum direction { OUTBOUND = 0, INBOUND = 1 };
const char *direction_name(enum direction direction); // "outbound"

// One set per worker: the worker alone writes, anyone reads. Relaxed order is enough for counts.
struct counters {
    _Atomic uint64_t metrics[METRIC_COUNT];
    _Atomic uint64_t closed[2][CLOSE_REASON_COUNT];   // by direction
    _Atomic uint64_t refused[2][VERIFY_RESULT_COUNT]; // peers refused by the verifier
};

static inline void counter_add(_Atomic uint64_t *counter, int64_t by) {
    uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, old + (uint64_t)by, memory_order_relaxed);
}

// Adds `from` to the plain sums in `into`.
struct counter_sums {
    uint64_t metrics[METRIC_COUNT];
    uint64_t closed[2][CLOSE_REASON_COUNT];
    uint64_t refused[2][VERIFY_RESULT_COUNT];
};
void counters_sum(struct counter_sums *into, const struct counters *from);

#endif
