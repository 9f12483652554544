// A log-linear histogram of durations: 64 buckets per power of two, so a quantile is off by at most
// 1.6 %, from one nanosecond to hours, in fixed memory.
#ifndef BENCH_LOAD_HISTOGRAM_H
#define BENCH_LOAD_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_SUB_BUCKETS (1 << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_NUM_BUCKETS ((64 - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB_BUCKETS)

struct histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t buckets[HISTOGRAM_NUM_BUCKETS];
};

void histogram_init(struct histogram *histogram);
void histogram_add(struct histogram *histogram, int64_t value); // negative counts as 0
// The value that the share `quantile` (0 to 1) of all values does not exceed: the middle of its
// bucket. 0 when nothing was added.
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);

#endif
